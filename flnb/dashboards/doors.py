"""The doors of the pages in HTTP: signing in and out, and who a request comes from.

A page and its socket are opened only for a browser that shows the cookie of somebody who is signed
in, under a name of this server: a page elsewhere that makes browsers ask for another name gets
nothing. Bokeh checks the origin of sockets itself.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from html import escape
from types import MappingProxyType
from typing import Any, Protocol, cast
from urllib.parse import quote, urlsplit

import panel as pn
from bokeh.server.auth_provider import AuthProvider
from tornado.web import HTTPError, RequestHandler

from flnb.core.errors import FLBaseError
from flnb.dashboards.access import Doorman, Person
from flnb.dashboards.proxied import HEADER
from flnb.dashboards.sign_in import sign_in_page, sign_out_page

_SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    # Not none at all: a browser would then say that its form comes from nowhere, and be refused.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

UNTOLD = ("Cookie", HEADER)
"""Headers that sign somebody in; like the cookie they stay out of what a page carries."""


def opener() -> tuple[dict[str, str], dict[str, str]]:
    """Cookies and headers of the request that opened this session.

    Bokeh writes cookies and headers into each page, where every script reads them, and hands them
    back as those of the request. What signs somebody in is kept out of that, and read here.
    """
    document = pn.state.curdoc
    context: Any = document.session_context if document is not None else None
    assert context is not None, "asked while a session is opened"
    request = context.request._request  # of bokeh; has no other name
    cookies = {name: morsel.value for name, morsel in request.cookies.items()}
    return cookies, dict(request.headers)


class WayIn(Protocol):
    """Another way to sign in than with a token; see `provider.py`."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def handler(self, gate: Gate) -> type[RequestHandler]:
        """Sends people there, and lets in who comes back."""
        ...


class Gate(AuthProvider):
    """Asks a doorman who somebody is.

    Args:
        doorman: Knows who is signed in.
        hosts: Names, with ports, under which this server is asked.
        cookie: What the cookie is called; browsers do not tell ports of one host apart.
        secure: Whether it is sent over HTTPS only.
        prefix: Path under which the pages lie.
        word: What JupyterLab's proxy says with each request that it has let through; whoever says
            it is whoever started this server.
        way_in: Another way to sign in; none by default.
    """

    provider_url = "/oauth"
    """Where people go who take the other way, and where they come back."""

    def __init__(
        self,
        doorman: Doorman,
        hosts: Sequence[str],
        *,
        cookie: str,
        secure: bool = False,
        prefix: str = "",
        word: str = "",
        way_in: WayIn | None = None,
    ) -> None:
        self.doorman, self.hosts, self.cookie = doorman, frozenset(hosts), cookie
        self.secure, self.prefix, self._word = secure, prefix, word
        self._vouched, self.way_in = "", way_in
        super().__init__()

    def person(self, cookies: Any, headers: Any = MappingProxyType({})) -> Person | None:
        """Who shows these cookies, or comes through a proxy that we know."""
        if self._is_vouched_for(headers):
            found = self.doorman.person(self._vouched)
            if found is None:
                self._vouched = self.doorman.admit_own()
                found = self.doorman.person(self._vouched)
            return found
        stay = cookies.get(self.cookie)
        return self.doorman.person(getattr(stay, "value", stay)) if stay else None

    def _is_vouched_for(self, headers: Any) -> bool:
        said = headers.get(HEADER) or headers.get(HEADER.lower()) or ""
        return bool(self._word) and hmac.compare_digest(said.encode(), self._word.encode())

    def speaks_to_us(self, request: Any) -> bool:
        """Whether a request names this server, and comes from a page of it if it says where from."""
        origin = request.headers.get("Origin")
        return request.host in self.hosts and (
            origin is None or urlsplit(origin).netloc in self.hosts
        )

    @property
    def get_user(self) -> Callable[[Any], str | None]:  # type: ignore[override]  # of bokeh, untyped there
        """Who a request comes from, by name."""

        def user(handler: Any) -> str | None:
            request = handler.request
            if request.host not in self.hosts and not self._is_vouched_for(request.headers):
                return None
            person = self.person(request.cookies, request.headers)
            return person.name if person is not None else None

        return user

    @property
    def cookies(self) -> list[str]:
        """All that a browser keeps for this server; the last two while it is at a provider."""
        return [self.cookie, f"{self.cookie}-state", f"{self.cookie}-code"]

    @property
    def endpoints(self) -> list[tuple[str, type[RequestHandler]]]:
        """What is answered beside the pages."""
        doors = list(super().endpoints)
        if self.way_in is not None:
            doors.append((self.provider_url, self.way_in.handler(self)))
        return doors

    @property
    def login_url(self) -> str:
        """Where people sign in."""
        return "/sign-in"

    @property
    def login_handler(self) -> type[RequestHandler]:
        """Signs people in."""
        return cast("type[RequestHandler]", type("SignInHere", (SignIn,), {"gate": self}))

    @property
    def logout_url(self) -> str:
        """Where people sign out."""
        return "/sign-out"

    @property
    def logout_handler(self) -> type[RequestHandler]:
        """Signs people out."""
        return cast("type[RequestHandler]", type("SignOutHere", (SignOut,), {"gate": self}))


class Door(RequestHandler):
    """What all doors do: answer nobody who takes this server for another one, and keep what they are told."""

    gate: Gate

    def prepare(self) -> None:
        """Answer nobody who takes this server for another one."""
        if not self.gate.speaks_to_us(self.request):
            self.set_status(403)
            self.finish("403: this server is not called by that name\n")

    def set_default_headers(self) -> None:
        """Keep what is shown here to this browser and this page."""
        for name, value in _SAFE.items():
            self.set_header(name, value)

    def _request_summary(self) -> str:
        """What the log says of a request: without what stands behind its path, which may let somebody in."""
        return f"{self.request.method} {self.request.path} ({self.request.remote_ip})"

    def _remember(self, stay: str) -> None:
        gate = self.gate
        self.set_cookie(
            gate.cookie, stay, httponly=True, samesite="Lax", secure=gate.secure, path="/"
        )

    def _after(self) -> str:
        """Where somebody goes who is in; a link from elsewhere may say it in bytes that are no text."""
        try:
            return within(self.get_argument("next", "/"))
        except HTTPError:
            return "/"

    def _show(self, problem: str = "", status: int = 200) -> None:
        """Show the page to sign in, and why it did not work."""
        self.set_status(status)
        gate, after = self.gate, self._after()
        way_in = None
        if gate.way_in is not None:
            link = f"{gate.prefix}{gate.provider_url}?next={quote(after, safe='')}"
            way_in = escape(link), escape(gate.way_in.name)
        action = f"{gate.prefix}{gate.login_url}"
        self.finish(sign_in_page(escape(action), escape(after), escape(problem), way_in))


class SignIn(Door):
    """Shows a form for a token, or lets somebody in who has a ticket."""

    async def get(self) -> None:
        """Show the form, unless there is a ticket that is good."""
        ticket = self.get_argument("ticket", "")
        if not ticket:
            self._show()
            return
        await self._admit(self.gate.doorman.admit_by_ticket, ticket)

    async def post(self) -> None:
        """Let somebody in by a token or a pass."""
        token = self.get_body_argument("token", "").strip()
        if not token:
            self._show("paste a token or a pass", 422)
            return
        await self._admit(self.gate.doorman.admit, token)

    async def _admit(self, admit: Callable[[str], str], word: str) -> None:
        try:
            stay = await asyncio.to_thread(admit, word)
        except FLBaseError as error:
            self._show(str(error), 403)
            return
        self._remember(stay)
        self.redirect(self.gate.prefix + self._after())


class SignOut(Door):
    """Forgets a browser that says so with a form; a link from elsewhere must not do that."""

    def get(self) -> None:
        """Show the form."""
        self.finish(sign_out_page(escape(f"{self.gate.prefix}{self.gate.logout_url}")))

    def post(self) -> None:
        """Forget it, and show the form to sign in."""
        if stay := self.get_cookie(self.gate.cookie):
            self.gate.doorman.leave(stay)
        self.clear_cookie(self.gate.cookie)
        self.redirect(f"{self.gate.prefix}{self.gate.login_url}")


def within(path: str) -> str:
    """A path of this server, whatever was asked for."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if inside and path.isprintable() else "/"
