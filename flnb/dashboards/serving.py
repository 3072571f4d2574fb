"""The server of the pages: one feed, every page, sign-in; on loopback unless somebody says more."""

from __future__ import annotations

import ipaddress
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import panel as pn
from panel.io.server import get_server

from flnb.core.errors import PlanError
from flnb.dashboards.access import Doorman
from flnb.dashboards.doors import UNTOLD, Gate, WayIn, opener
from flnb.dashboards.feed import Feed
from flnb.dashboards.head import Frame
from flnb.dashboards.orders import Orders
from flnb.dashboards.page import Page
from flnb.dashboards.routes import PAGES
from flnb.dashboards.shell import Shell
from flnb.dashboards.targets import Target

log = logging.getLogger(__name__)

_UNUSED_MS, _CHECK_MS = 15_000, 5_000
_GOODBYE_S = 0.5
"""So long connections have to be closed when a server ends."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the pages are served."""

    host: str = "127.0.0.1"
    port: int = 0
    origin: str = ""
    """Address that people type, such as `https://flnb.example.org`; needed beyond loopback."""
    prefix: str = ""
    """Path below which the pages lie, such as JupyterLab's for its proxy."""
    word: str = ""
    """What that proxy says with every request; see `proxied.py`."""

    def __post_init__(self) -> None:
        if not _is_loopback(self.host) and not self.origin.startswith("https://"):
            raise PlanError(
                f"pages at {self.host} would send tokens over a line that others can hear",
                hint="put a proxy with TLS before it and say --origin https://NAME; or leave --host out",
            )

    def hosts(self, port: int) -> list[str]:
        """Names with ports under which the server is asked."""
        if self.origin:
            return [urlsplit(self.origin).netloc]
        return [f"{name}:{port}" for name in ("localhost", "127.0.0.1")]


class Pages:
    """A server of pages.

    Args:
        target: What they show.
        settings: Where.
        orders: Gives people's orders; by default to the coordinator that the target finds.
        way_in: Another way to sign in than with a token.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings,
        orders: Orders | None = None,
        way_in: WayIn | None = None,
    ) -> None:
        self.feed, self.orders = Feed(target), orders or Orders(target)
        self.doorman = Doorman(target.person, target.own)
        self._settings, self._way_in = settings, way_in
        self._server: Any = None

    def start(self, *, prepared: bool = False) -> str:
        """Open the port; returns the address of the first page.

        Args:
            prepared: Whether Panel knows already how pages are; telling it in a notebook would
                write into the cell.
        """
        if not prepared:
            prepare()
        settings = self._settings
        socket = _bound(settings.host, settings.port)
        port = socket.getsockname()[1]
        gate = Gate(
            self.doorman,
            settings.hosts(port),
            cookie=f"flnb-{port}",
            secure=bool(settings.origin),
            prefix=settings.prefix,
            word=settings.word,
            way_in=self._way_in,
        )
        socket.close()
        self._server = get_server(
            {f"/{page.path}": self._session(page, gate) for page in PAGES},
            title={
                f"/{page.path}": f"{page.title} · {self.feed.target.name} · flnb" for page in PAGES
            },
            port=port,
            address=settings.host,
            # Behind JupyterLab each request must bring its proxy's word; its own name may be any.
            websocket_origin=["*"] if settings.word else settings.hosts(port),
            auth_provider=gate,
            exclude_cookies=gate.cookies,
            exclude_headers=list(UNTOLD),
            prefix=settings.prefix,
            cookie_secret=secrets.token_hex(32),  # of cookies that last as long as one sign-in
            unused_session_lifetime_milliseconds=_UNUSED_MS,
            check_unused_sessions_milliseconds=_CHECK_MS,
            use_xheaders=bool(settings.origin),
        )
        self._server.start()
        return f"{settings.origin or f'http://localhost:{port}'}{settings.prefix}/"

    def _session(self, page: type[Page], gate: Gate) -> Callable[[], Frame]:
        def session() -> Frame:
            cookies, headers = opener()
            person = gate.person(cookies, headers)
            assert person is not None, "the gate lets nobody in whom it does not know"
            shell = Shell(
                self.feed,
                self.orders,
                person,
                page,
                lambda: gate.person(cookies, headers) is not None,
            )
            pn.state.on_session_destroyed(shell.over)
            return shell.build()

        return session

    @property
    def loop(self) -> Any:
        """The loop that answers."""
        return self._server.io_loop

    def serve(self) -> None:
        """Answer until the loop is stopped."""
        try:
            self._server.io_loop.start()
        finally:
            self.close()

    @property
    def n_open(self) -> int:
        """How many pages are open."""
        return len(self._server.get_sessions())

    def stop(self) -> None:
        """Close the port, and let `serve` return; on the loop."""
        self._server.unlisten()
        self._server.stop(wait=False)
        self._server.io_loop.call_later(_GOODBYE_S, self._server.io_loop.stop)

    def close(self) -> None:
        """Let everything go."""
        self.feed.close()
        self.orders.close()
        self.feed.target.close()


def prepare() -> None:
    """Tell Panel how pages are: no resources from outside, no busy bar, toasts, coming back."""
    for name in ("bokeh.server.views.ws", "panel.io.document"):
        logging.getLogger(name).addFilter(_is_news)
    pn.extension(
        defer_load=False,
        loading_indicator=False,
        notifications=True,
        reconnect=True,
        throttled=True,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the log says something: people close pages while these are drawn."""
    return "Failed sending message as connection was closed" not in record.getMessage()


def _bound(host: str, port: int) -> Any:
    import socket

    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((host, port))
    except OSError as error:
        one.close()
        raise PlanError(
            f"port {port} of {host} cannot be opened: {error.strerror}",
            hint="--port 0 takes a free one",
        ) from error
    return one


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
