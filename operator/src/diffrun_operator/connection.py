"""How the operator reaches the API server: one login for Kopf's watches and for our own client.

Three ways, in this order: the kubeconfig that KUBECONFIG names, the pod's service account, the user's
default kubeconfig. Kopf reads them; the address of the in-cluster server is taken from the environment
that every pod has, so that the operator needs no cluster DNS to come up.
"""

import dataclasses
import os

import kopf


class LoginError(Exception):
    """There is no way to the API server; the message says where it was looked for."""


def connect() -> kopf.ConnectionInfo:
    """The API server's address and fresh credentials, read anew at each call (tokens rotate)."""
    settings = kopf.OperatorSettings()
    if not os.environ.get("KUBECONFIG"):
        info = kopf.login_with_service_account(settings=settings)
        if info is not None:
            return dataclasses.replace(info, server=_in_cluster_server(info.server))
    info = kopf.login_with_kubeconfig(settings=settings)
    if info is None:
        raise LoginError("no way to the API server: set KUBECONFIG, or run in a pod with a service account's token")
    return info


def _in_cluster_server(default: str) -> str:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT_HTTPS", "443")
    if not host:
        return default
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
