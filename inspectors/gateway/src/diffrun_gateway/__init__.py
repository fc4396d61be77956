"""Redis streams and artifacts -> HTTP and server-sent events.

The gateway shows what workers publish and what Kubernetes says. It decides nothing: a viewer's decision is sent on
with the viewer's own token.
"""

__version__ = "0.1.0"
