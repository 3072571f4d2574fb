"""The pages under `panel serve`: one feed and one gate for the process that Panel runs."""

from __future__ import annotations

import functools
import os
import sys

import panel as pn

from flnb.dashboards.access import Doorman
from flnb.dashboards.components import states
from flnb.dashboards.components.panes import html
from flnb.dashboards.doors import Gate, opener
from flnb.dashboards.feed import Feed
from flnb.dashboards.head import Frame
from flnb.dashboards.orders import Orders
from flnb.dashboards.routes import page_at
from flnb.dashboards.serving import Settings, prepare
from flnb.dashboards.shell import Shell
from flnb.dashboards.targets import target_of

_PORT = 5006
_HOW = (
    "panel serve dashboards/*.py --auth-module dashboards/auth/gate.py "
    f"--exclude-cookies flnb-{_PORT} --exclude-headers Cookie"
)


@functools.cache
def feed() -> Feed:
    """The feed of this process, for what `FLNB_PASS` or `FLNB_LAB` names."""
    return Feed(target_of("-"))


@functools.cache
def orders() -> Orders:
    """Gives orders to that coordinator."""
    return Orders(feed().target)


@functools.cache
def gate() -> Gate:
    """Signs people in; `dashboards/auth/gate.py` hands it to Panel."""
    port = _port(sys.argv)
    settings = Settings(port=port, origin=os.environ.get("FLNB_ORIGIN", ""))
    target = feed().target
    doorman = Doorman(target.person, target.own)
    return Gate(doorman, settings.hosts(port), cookie=f"flnb-{port}", secure=bool(settings.origin))


def serve(path: str) -> None:
    """Serve a page in the session that Panel has opened.

    Args:
        path: Which page; see `routes.py`.
    """
    made = page(path)
    made.servable(title=f"{page_at(path).title} · {feed().target.name} · flnb")


def page(path: str) -> Frame:
    """A page for the person who asks; without sign-in nothing is shown but how to switch it on.

    Args:
        path: Which page; see `routes.py`.
    """
    prepare()
    kind, (cookies, _) = page_at(path), opener()
    person = gate().person(cookies)
    if person is None:
        said = states.empty(
            "These pages are shown to people who are signed in. Start them with:", _HOW
        )
        return Frame(main=[html(said)], title=kind.title)
    shell = Shell(feed(), orders(), person, kind, lambda: gate().person(cookies) is not None)
    pn.state.on_session_destroyed(shell.over)
    return shell.build()


def _port(arguments: list[str]) -> int:
    """The port that Panel was told."""
    for at, word in enumerate(arguments):
        name, _, value = word.partition("=")
        if name == "--port":
            return int(value or arguments[at + 1])
    return _PORT
