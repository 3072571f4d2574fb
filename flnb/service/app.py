"""The app: entrance, routes, one shape of errors. Everything that is asked is asked of the coordinator."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from flnb import __version__
from flnb.service import docs_page
from flnb.service.entrance import Entrance
from flnb.service.events.fanout import Fanout
from flnb.service.events.socket import EventSocket
from flnb.service.gateway import Gateway
from flnb.service.heads import Heads
from flnb.service.measuring import Measuring
from flnb.service.problems import speak_in_one_shape
from flnb.service.prometheus import Figures
from flnb.service.routes import clients, health, metrics, models, records, rounds, runs, studies
from flnb.service.settings import ServiceSettings
from flnb.service.shapes.problems import PROBLEMS
from flnb.service.strangers import Strangers
from flnb.service.tags import Tags

_ABOUT = """Watch and steer the federated learning of one lab.

Send `Authorization: Bearer PASS` with every request (the line that `flnb token` prints, or the token in it), and `Flnb-Request: 1` with every POST."""
_ROUTERS = tuple(
    noun.router for noun in (health, metrics, runs, rounds, models, clients, studies, records)
)


def make_app(gateway: Gateway, settings: ServiceSettings) -> FastAPI:
    """Make the app of one coordinator.

    Args:
        gateway: The way to it; whoever made it closes it.
        settings: Whom to let in.
    """
    fanout = Fanout(gateway)
    app = FastAPI(
        title="flnb",
        version=__version__,
        description=_ABOUT,
        redoc_url=None,
        docs_url=None,
        lifespan=lambda _: fanout.running(),
    )
    figures = Figures(fanout)
    app.state.gateway, app.state.settings, app.state.figures = gateway, settings, figures
    for router in _ROUTERS:
        app.include_router(router, responses=PROBLEMS)
    app.include_router(docs_page.router)
    strangers = Strangers(gateway)
    socket = EventSocket(fanout, gateway, strangers, token_in_url=settings.token_in_url)
    app.router.routes.append(WebSocketRoute("/ws/events", socket))
    speak_in_one_shape(app)
    app.add_middleware(Tags)
    app.add_middleware(Heads)
    app.add_middleware(Entrance, settings=settings, strangers=strangers)
    app.add_middleware(Measuring, figures=figures)
    return app
