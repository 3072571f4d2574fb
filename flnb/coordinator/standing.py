"""How a coordinator stands, as people see it: the same words here and through a connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flnb.core import cards, glance
from flnb.core.view import RunView


@dataclass(frozen=True, slots=True)
class Standing:
    """A coordinator at one moment."""

    name: str
    """Of its lab."""
    folder: str
    """Where its lab lies; empty for those who need not know."""
    since: str
    """Time of the day since which it runs; empty when it does not."""
    n_runs: int
    """Driven since then."""
    clients: str
    going: str
    """Runs that go on."""
    note: str = ""
    http: str = ""
    """Where people's programs find its REST."""
    simulated: Mapping[str, int] = field(default_factory=dict)
    """How many clients are simulated, by the name of their task; lists of clients leave them out."""

    @property
    def line(self) -> str:
        """One line."""
        state = f"running since {self.since}" if self.since else "stopped"
        return f"Coordinator({self.name!r}, {state}, {self.n_runs} runs)"

    def bundle(self, **more: str) -> Mapping[str, str]:
        """For notebooks.

        Args:
            **more: Facts to add.
        """
        facts = {
            "lab": self.folder or self.name,
            "clients": self.clients,
            "runs": self.going,
        } | more
        if self.http:
            facts["http"] = f"{self.http} · {self.http}/docs"
        if self.note:
            facts["note"] = self.note
        status = "running" if self.since else "stopped"
        return cards.bundle(self.line, cards.card("Coordinator", facts, status=status))


def going(views: Iterable[RunView]) -> str:
    """Say which of these runs go on, how far they are, and what they wait for."""
    return ", ".join(map(_going, (view for view in views if not view.status.over))) or "none"


def _going(view: RunView) -> str:
    waits = f", {glance.state(view)}" if view.awaits else ""
    return f"{view.name} (round {view.round}/{view.rounds}{waits})"


@dataclass(frozen=True, slots=True)
class Card:
    """Something at a service, as people see it."""

    line: str
    title: str
    facts: Mapping[str, str]

    def __repr__(self) -> str:
        """One line."""
        return self.line

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        return cards.bundle(self.line, cards.card(self.title, self.facts))
