"""The words every part of diffrun shares: names, models of the API, events and outcomes.

Nothing here does anything: no client, no clock, no file. It stands on pydantic alone.
"""

__version__ = "0.1.0"
