"""REST, a WebSocket of events and /metrics, for people's programs; a process beside the coordinator.

What may be seen and done is decided by the coordinator, which is asked over gRPC with the caller's
own token: `flnb.transport.control` has the table of roles. Pages for people are in `dashboards`.
Read `app.py` first.
"""

__all__: list[str] = []
