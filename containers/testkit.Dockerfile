# The test kit (a Hub of its own, test blocks) on the worker's layers: a cluster that has the worker's
# image gets this one for a few megabytes. WORKER_IMAGE is the worker's image, or its `deps` alone.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG WORKER_IMAGE=diffrun/worker:dev

FROM ${BASE_IMAGE} AS tools
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
COPY locks/bootstrap.txt locks/testkit.txt /locks/
RUN python3 -m venv /opt/bootstrap \
    && /opt/bootstrap/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r /locks/bootstrap.txt \
    && /opt/bootstrap/bin/uv pip install --no-cache --python /opt/bootstrap --no-deps --require-hashes \
        --compile-bytecode --target /opt/diffrun/testkit -r /locks/testkit.txt

FROM ${WORKER_IMAGE} AS deps
COPY --from=tools /opt/diffrun/testkit /opt/diffrun/testkit
ENV PYTHONPATH=/opt/diffrun/app:/opt/diffrun/testkit
ENTRYPOINT ["python", "-m", "diffrun_testkit"]

FROM tools AS code
COPY contracts /src/contracts
COPY worker /src/worker
COPY testkit /src/testkit
RUN /opt/bootstrap/bin/uv pip install --no-cache --python /opt/bootstrap --no-deps --no-build-isolation \
        --compile-bytecode --target /opt/diffrun/app /src/contracts /src/worker /src/testkit

FROM deps
COPY examples/digits/checkpoint /srv/hub/diffrun/ddpm-digits
COPY --from=code /opt/diffrun/app /opt/diffrun/app
