"""The app: entrance, routes, one shape of errors. Everything that is asked is asked of the coordinator."""

from __future__ import annotations

from fastapi import FastAPI

from flnb import __version__
from flnb.service.entrance import Entrance
from flnb.service.gateway import Gateway
from flnb.service.problems import speak_in_one_shape
from flnb.service.routes import health
from flnb.service.settings import ServiceSettings

_ABOUT = """Watch and steer the federated learning of one lab.

Send `Authorization: Bearer TOKEN` with every request, and `Flnb-Request: 1` with every POST."""
_ROUTERS = (health.router,)


def make_app(gateway: Gateway, settings: ServiceSettings) -> FastAPI:
    """Make the app of one coordinator.

    Args:
        gateway: The way to it; whoever made it closes it.
        settings: Whom to let in.
    """
    app = FastAPI(
        title="flnb", version=__version__, description=_ABOUT, redoc_url=None, docs_url=None
    )
    app.state.gateway, app.state.settings = gateway, settings
    for router in _ROUTERS:
        app.include_router(router)
    speak_in_one_shape(app)
    app.add_middleware(Entrance, settings=settings)
    return app
