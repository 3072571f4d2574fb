"""Which pages there are, in the order of the menu."""

from __future__ import annotations

from flnb.dashboards.page import Page
from flnb.dashboards.pages.checkpoints import Checkpoints
from flnb.dashboards.pages.client import Client
from flnb.dashboards.pages.clients import Clients
from flnb.dashboards.pages.compare import Compare
from flnb.dashboards.pages.overview import Overview
from flnb.dashboards.pages.rounds import Rounds
from flnb.dashboards.pages.sql import Sql
from flnb.dashboards.pages.studies import Studies
from flnb.dashboards.pages.system import System

PAGES: tuple[type[Page], ...] = (
    Overview,
    Rounds,
    Clients,
    Client,
    Checkpoints,
    Compare,
    Studies,
    Sql,
    System,
)
"""A page whose room does not exist is not here; nothing is promised that is not there."""


def page_at(path: str) -> type[Page]:
    """The page of a path."""
    return {page.path: page for page in PAGES}[path]
