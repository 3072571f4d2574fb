"""Old commits let go: what would go and what it frees, shown before anything is done."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flnb.coordinator.acting import request
from flnb.coordinator.history.holding import LONG_S, ask
from flnb.coordinator.history.timeline import score
from flnb.core import RunId, cards, glance
from flnb.core.errors import PlanError, did_you_mean
from flnb.store import (
    FREED,
    YOUNGEST,
    Freed,
    LabStore,
    Request,
    RoundKey,
    in_spans,
    sweep,
    weigh,
)

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.coordinator.lab import Lab

KEEP = "every 10th, tagged, best"
"""What is kept of old commits, if nobody says otherwise."""
_EVERY = re.compile(r"every (\d+)(?:st|nd|rd|th)?")
_RULES = ("every 10th", "tagged", "best")
_TOO_YOUNG = f"commits younger than {YOUNGEST / timedelta(hours=1):.0f} h are never removed"


class ExpiryPreview:
    """Which commits would go, what that frees, and what stays for what. Nothing has happened yet.

    Made by `lab.expire(…)`; `apply` does it. Rows stay: a round whose commit went is one that is run
    again from the commit before.

    Args:
        trunks: Names of runs, each with all its branches.
        before: Commits of rounds that closed before it may go.
    """

    def __init__(self, trunks: Sequence[str], before: datetime) -> None:
        self.trunks, self.before = tuple(trunks), before
        self._request_id = secrets.token_hex(8)
        self.kept: dict[RoundKey, str] = {}
        """Old commits that stay, and what for."""
        self.goes: list[RoundKey] = []
        """Rounds whose commits go."""
        self.leaves: dict[str, str] = {}
        """The same by branch and generation, in few words."""
        self.freed = Freed(0, 0)
        """Objects and bytes; see `flnb.store.retention.weigh` for how exact that is."""

    def apply(self, reason: str) -> Freed:
        """Do it: the rows say so first, then bytes are freed. Doing it twice does it once.

        A coordinator that holds the lab does it between two commits, also while its runs go on.

        Args:
            reason: Why; kept in the operations log and with each round.

        Returns:
            What was freed, by this and by every earlier time that the same preview was applied.

        Raises:
            PlanError: No reason.
            RoundStateError: A commit that would go was named, or stood on, since this was made; or
                guests are at work in the lab, and says which.
            LabHeldError: Somebody took the lab in this moment, or holds it and does not answer.
        """
        if not reason.strip():
            raise PlanError("letting commits go needs a reason", hint='apply(reason="…")')
        return self._let_go(request(reason, self._request_id))

    def _let_go(self, asked: Request) -> Freed:
        raise NotImplementedError

    def facts(self) -> dict[str, str]:
        """All of it, as words."""
        facts = {
            "older than": f"{self.before:%Y-%m-%d %H:%M} UTC",
            "goes": glance.count(len(self.goes), "commit"),
        }
        facts |= {name: f"rounds {rounds}" for name, rounds in self.leaves.items()}
        facts["frees"] = (
            f"{glance.count(self.freed.objects, 'object')}, {glance.size(self.freed.size_bytes)}"
        )
        for why in dict.fromkeys(self.kept.values()):
            rounds = [key.round for key, reason in self.kept.items() if reason == why]
            facts[f"stays: {why}"] = f"rounds {in_spans(rounds)}"
        facts["after that"] = (
            "tables and the log keep their rows; such a round is run again from the commit before"
        )
        return facts

    def __repr__(self) -> str:
        """What would happen, from memory."""
        lines = [f"expire commits of {', '.join(self.trunks)} (nothing has happened yet)"]
        return "\n".join([*lines, *(f"  {name}: {text}" for name, text in self.facts().items())])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        card = cards.card(f"Expire commits of {', '.join(self.trunks)}", self.facts())
        return cards.bundle(repr(self), card)


class LabExpiry(ExpiryPreview):
    """A preview for a lab that this process can read.

    Args:
        lab: The lab.
        trunks: Names of runs, each with all its branches.
        older_than: Only commits of rounds that closed so long ago.
        keep: What stays of those; see `Lab.expire`.

    Raises:
        NotFoundError: There is no such run.
        PlanError: A rule that is not known, or commits that are too young.
    """

    def __init__(
        self, lab: Lab, trunks: Sequence[str], older_than: timedelta, keep: str = KEEP
    ) -> None:
        if older_than < YOUNGEST:
            raise PlanError(_TOO_YOUNG, hint='older_than="30d"')
        super().__init__(trunks, lab.store.clock.now() - older_than)
        self._lab = lab
        victims = set[str]()
        for trunk in self.trunks:
            victims |= self._look(trunk, _rules(keep))
        stay = lab.store.state.named_snapshots() - victims
        self.freed = weigh(lab.store.history.place, victims, stay)
        self.leaves = self._in_words()

    def _look(self, trunk: str, rules: tuple[int, bool]) -> set[str]:
        """Sort the old commits of a run; returns those that go."""
        state = self._lab.store.state
        every, best = rules
        records = [one for one in state.runs() if one.trunk_name == trunk]
        # First: a round that closes between the two is the head then, and not among those that may go.
        rounds = state.rounds_of([one.id for one in records])
        reached = state.reached(trunk).reasons
        if best:
            reached = _best_of(self._lab.store, [one.id for one in records]) | reached
        victims = set()
        for key, snapshot, closed_at in rounds:
            if snapshot is None or closed_at >= self.before:
                continue
            if (why := reached.get(key)) is not None:
                self.kept[key] = why
            elif every and key.round % every == 0:
                self.kept[key] = f"every {every}th"
            else:
                self.goes.append(key)
                victims.add(snapshot)
        return victims

    def _let_go(self, asked: Request) -> Freed:
        lab = self._lab
        runs = [lab.store.state.run(trunk).id for trunk in self.trunks]
        if not runs:
            return Freed(0, 0)
        if lab.coordinator is not None:
            let_go(lab.coordinator.lab.store, runs[0], self.goes, self.before, asked)
        elif lab.store.holder is not None:
            said = {"goes": self.goes, "before": self.before.isoformat()}
            arguments = said | {"request": asdict(asked)}
            ask(lab, runs[0], "expire", arguments, longer_s=LONG_S)
        else:
            with lab.store.lease("expire"):
                let_go(lab.store, runs[0], self.goes, self.before, asked)
        return freed_by(lab.store, runs[0], asked)

    def _in_words(self) -> dict[str, str]:
        names = {one.id: one.name for one in self._lab.store.state.runs()}
        found = dict[str, list[int]]()
        for key in sorted(self.goes):
            found.setdefault(f"{names[key.run]} gen {key.generation}", []).append(key.round)
        return {name: in_spans(rounds) for name, rounds in found.items()}


def let_go(
    store: LabStore, run: RunId, keys: Sequence[RoundKey], before: datetime, asked: Request
) -> None:
    """Take commits from rounds, then free all bytes that no row names; for the holder of the lab.

    Args:
        store: The lab's store.
        run: Under which run the log notes what was freed.
        keys: The rounds.
        before: Commits from before it may go.
        asked: Who wants it, and why.

    Raises:
        PlanError: One of the commits is too young, whoever asked for it.
        RoundStateError: One of the commits stays by now; or guests are at work in the lab.
        LabLostError: Another process has taken a shared lab over; what was under way ended there.
        StoreError: History is damaged; rows say that commits went, their bytes are still there.
    """
    _check_old(store, keys)
    with store.without_guests() as check:
        store.state.expire(keys, asked)
        with store.writer.between_commits():
            oldest, place = store.clock.now() - YOUNGEST, store.history.place
            # A sweep may take longer than a lease: nothing else stops who lost the lab meanwhile.
            freed = sweep(place, store.state.named_snapshots, before, oldest, check)
        store.state.note_freed(run, asked, *freed)


def _check_old(store: LabStore, keys: Sequence[RoundKey]) -> None:
    asked, oldest = set(keys), store.clock.now() - YOUNGEST
    rounds = store.state.rounds_of(list({key.run for key in keys}))
    young = [key for key, snapshot, at in rounds if snapshot and key in asked and at > oldest]
    if young:
        raise PlanError(f"round {min(young).round} closed less than a day ago: {_TOO_YOUNG}")


def answer_expire(coordinator: Coordinator, run: RunId, arguments: Mapping[str, Any]) -> None:
    """Carry out what another process asked for."""
    let_go(
        coordinator.lab.store,
        run,
        [RoundKey(*key) for key in arguments["goes"]],
        datetime.fromisoformat(arguments["before"]),
        Request(**arguments["request"]),
    )


def freed_by(store: LabStore, run: RunId, asked: Request) -> Freed:
    """What was freed for a request, however often it was asked."""
    noted = [one.details for one in store.state.operations(run) if one.verb == FREED]
    mine = [one for one in noted if one["request"] == asked.id]
    return Freed(sum(one["objects"] for one in mine), sum(one["bytes"] for one in mine))


def _rules(keep: str) -> tuple[int, bool]:
    """Every how many rounds a commit is kept (0 for none), and whether the best one is."""
    every, best = 0, False
    for rule in filter(None, (part.strip() for part in keep.split(","))):
        if (found := _EVERY.fullmatch(rule)) and int(found[1]):
            every = int(found[1])
        elif rule not in _RULES:
            hint = did_you_mean(rule, _RULES)
            raise PlanError(f"not a rule of what to keep: {rule!r}", hint=hint)
        best = best or rule == "best"
    return every, best


def _best_of(store: LabStore, runs: Iterable[RunId]) -> dict[RoundKey, str]:
    """The best commit of each branch."""
    found = dict[RoundKey, str]()
    for run in runs:
        scored = [
            (value, closing.round, closing.round_key)
            for closing in store.state.summaries(run)
            if closing.snapshot and not math.isnan(value := score(closing))
        ]
        if scored:
            found[max(scored)[2]] = "the best of its branch"
    return found
