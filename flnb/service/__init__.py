"""REST, a WebSocket of events and /metrics, for people's programs; a process beside the coordinator.

What may be seen and done is decided by the coordinator, which is asked over gRPC with the caller's
own token: `flnb.transport.control` has the table of roles. Pages for people are in `dashboards`.
Read `app.py` first, then `entrance.py`.
"""

from flnb.service.app import make_app
from flnb.service.gateway import Gateway
from flnb.service.settings import ServiceSettings

__all__ = ["Gateway", "ServiceSettings", "make_app"]
