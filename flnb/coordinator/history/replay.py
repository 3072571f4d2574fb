"""What a replay would do, shown before anything is done.

A replay takes the updates that clients sent in some rounds, as they were kept, and adds them up once more
without some of the clients. It costs no training. Related work that reuses stored updates, and says how
far that goes:

    Liu, Ma, Yang, Wang, Liu. "FedEraser: Enabling Efficient Client-Level Data Removal from Federated
    Learning Models", IWQoS 2021. https://doi.org/10.1109/IWQOS52092.2021.9521274
    Cao, Jia, Zhang, Gong. "FedRecover: Recovering from Poisoning Attacks in Federated Learning using
    Historical Information", IEEE S&P 2023. https://arxiv.org/abs/2210.10936

Differs from both: kept updates are used as they are, FedEraser calibrates them by further training,
FedRecover corrects them by an estimate of the Hessian.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from flnb.coordinator.acting import request
from flnb.coordinator.history.moving import Branching, fork
from flnb.coordinator.history.timeline import Timeline
from flnb.core import cards
from flnb.core.errors import NotFoundError, PlanError, RoundStateError
from flnb.core.glance import spans
from flnb.core.ids import ClientId
from flnb.core.plan import Plan
from flnb.store import Closing, Request, RoundKey, RunRecord

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab
    from flnb.coordinator.run import Run


class ReplayPreview:
    """Which rounds would be done again, without whom, and what is missing. Nothing has happened yet.

    Made by `run.replay(…)`; `apply` makes the branch.

    What it is: from the commit on, each round's mean is taken again over the updates that were
    kept, without those of the excluded clients, by the same rule and server optimiser. With nobody
    excluded the result is the same, bit for bit.

    What it is not: exact unlearning. The others' later updates were trained from versions that the
    excluded clients had a part in, and so still carry something of them. Only training again from
    the commit (`train=True`) is free of that; no bound on the difference is claimed.

    Args:
        name: Of the branch that is looked at.
        span: What the new branch would stand on, None for the first version; and the last round
            that is done again.
        exclude: Who is left out, also when the branch goes on afterwards.
        train: Train the rounds again and do not use kept updates.
    """

    def __init__(
        self,
        name: str,
        span: tuple[RoundKey | None, RoundKey],
        exclude: Sequence[str],
        *,
        train: bool,
    ) -> None:
        self.name, (self.base, self.until) = name, span
        self.exclude, self.train = tuple(exclude), train
        self.branch = ""
        """Name that the branch will have, after the run's."""
        self.rounds: list[int] = []
        """Rounds that are done again."""
        self.missing: list[int] = []
        """Those whose updates are not kept, which would have to be trained again."""
        self.empty: list[int] = []
        """Those in which nobody is left."""
        self.short: list[int] = []
        """Those that would have fewer updates than the plan needs; they are replayed all the same."""
        self.taken_out = 0
        """Updates that are left out."""
        self.request_id = request("").id
        """The same request twice is done once."""

    def apply(self, reason: str) -> Run:
        """Make the branch; it rests. `resume()` does the rounds, from kept updates or by training.

        Applying the same preview twice does it once.

        Args:
            reason: Why; kept in the operations log.

        Returns:
            The branch.

        Raises:
            PlanError: No reason.
            RoundStateError: Updates that are needed are not kept, or nobody is left in a round.
        """
        if not reason.strip():
            raise PlanError("a replay needs a reason", hint='apply(reason="…")')
        self.check()
        return self._make(request(reason, self.request_id))

    def check(self) -> None:
        """See that it can be done.

        Raises:
            RoundStateError: Updates that are needed are not kept, or nobody is left in a round.
        """
        if self.train:
            return
        again = (
            f"train=True trains rounds {spans(self.rounds)} again, without those who are excluded"
        )
        if self.missing:
            raise RoundStateError(
                f"the updates of rounds {spans(self.missing)} of {self.name} are not kept",
                hint=f"{again}; a plan with keep_updates=n keeps those of the last n rounds",
            )
        if self.empty:
            raise RoundStateError(
                f"in rounds {spans(self.empty)} nobody is left without {', '.join(self.exclude)}",
                hint=again,
            )

    def facts(self) -> dict[str, str]:
        """All of it, as words."""
        after = f"the commit of round {self.base.round}" if self.base else "the first version"
        impossible = not self.train and (self.missing or self.empty)
        verb = "trained again" if self.train else "added up again"
        verb = f"cannot be {verb}" if impossible else verb
        facts = {
            "branch": f"{self.name.partition('/')[0]}/{self.branch}, from {after}",
            verb: f"rounds {spans(self.rounds)} ({len(self.rounds)})",
            "without": ", ".join(self.exclude) or "nobody left out",
        }
        if self.taken_out:
            facts["leaves out"] = f"{self.taken_out} updates"
        return facts if self.train else facts | self._doubts()

    def _doubts(self) -> dict[str, str]:
        facts = {}
        if self.missing:
            facts["not kept"] = (
                f"rounds {spans(self.missing)}: they would have to be trained again (train=True)"
            )
        if self.empty:
            facts["nobody left"] = f"rounds {spans(self.empty)}"
        if self.short:
            facts["fewer than needed"] = f"rounds {spans(self.short)}"
        if self.taken_out:
            facts["mind"] = (
                "later updates still carry something of who is left out: not exact unlearning"
            )
        return facts

    def _make(self, asked: Request) -> Run:
        raise NotImplementedError

    def __repr__(self) -> str:
        """What would happen, from memory."""
        lines = [f"replay {self.name} (nothing has happened yet)"]
        return "\n".join([*lines, *(f"  {name}: {text}" for name, text in self.facts().items())])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        card = cards.card(f"Replay {self.name}", self.facts())
        return cards.bundle(repr(self), card)


class StoredReplay(ReplayPreview):
    """A preview for a lab that this process can read.

    Args:
        lab: The lab.
        record: The branch.
        from_: A committed round of its line, 0 for the first version, or a name of one.
        exclude: Clients to leave out.
        train: Train the rounds again and do not use kept updates.
        until: The last round that is done again; the head if not given.

    Raises:
        NotFoundError: There is no such round, or no such client took part in the rounds after it.
        PlanError: No round comes after it, or the rounds were made by different strategies.
    """

    def __init__(
        self,
        lab: Lab,
        record: RunRecord,
        from_: int | str,
        exclude: Collection[str] = (),
        *,
        train: bool = False,
        until: int | None = None,
    ) -> None:
        self._lab, self._record = lab, record
        timeline = Timeline(lab.store, record)
        base = timeline.key(from_) if from_ != 0 else None
        if base is not None and base not in timeline.line:
            raise PlanError(f"{from_!r} is not a round that leads to the head of {record.name}")
        head = lab.store.state.head(record.id).round
        last, after = min(head, until or head), base.round if base else 0
        if last <= after:
            raise PlanError(
                f"{record.name} has no round after {after}: there is nothing to replay",
                hint="from_ is the last round that stays as it is",
            )
        keys = [timeline.line.key(number) for number in range(after + 1, last + 1)]
        self._check_strategies(keys)
        plan = Plan.from_stored(record.plan_yaml)
        left_out = sorted({*plan.exclude, *map(ClientId, exclude)})
        super().__init__(record.name, (base, keys[-1]), left_out, train=train)
        self.rounds, self.branch = [key.round for key in keys], _free_name(lab, record, after)
        self._look([lab.store.state.closing_of(key) for key in keys], exclude, plan)

    def _look(self, found: Sequence[Closing | None], exclude: Collection[str], plan: Plan) -> None:
        """Find out what is kept, and what is left without those who are excluded."""
        closings = [closing for closing in found if closing is not None]
        asked = {str(client) for one in closings for client in one.assignments["client"]}
        for client in exclude:
            if client not in asked:
                raise NotFoundError(f"client in rounds {spans(self.rounds)}", client, asked)
        used = {closing.round: _used(closing) for closing in closings}
        left = {number: clients - set(self.exclude) for number, clients in used.items()}
        kept = self._lab.store.kept
        self.missing = [one.round for one in closings if one.round_key not in kept]
        self.empty = [number for number in self.rounds if not left[number]]
        need = plan.need or 1
        self.short = [number for number in self.rounds if 0 < len(left[number]) < need]
        self.taken_out = sum(len(used[number] - left[number]) for number in self.rounds)

    def _check_strategies(self, keys: list[RoundKey]) -> None:
        strategy = Plan.from_stored(self._record.plan_yaml).strategy
        for key in {key.run: key for key in keys}.values():
            other = self._lab.store.state.run(key.run)
            if Plan.from_stored(other.plan_yaml).strategy != strategy:
                raise PlanError(
                    f"rounds up to {key.round} are of {other.name}, which has another strategy than "
                    f"{self._record.name}",
                    hint=f"replay from round {key.round} on, or replay {other.name}",
                )

    def _make(self, asked: Request) -> Run:
        until = None if self.train else self.until
        changes = {"exclude": self.exclude}
        plan = Plan.from_stored(self._record.plan_yaml).replace(**changes)
        wanted = Branching(
            name=self.branch, plan=plan, base=self.base, request=asked, replays=until
        )
        made = fork(self._lab, self._record, wanted)
        return self._lab.run(made.id)


def _used(closing: Closing) -> set[str]:
    """Clients whose update counted."""
    updates = closing.updates
    return {
        str(client)
        for client, used in zip(updates["client"], updates["accepted"], strict=True)
        if used
    }


def _free_name(lab: Lab, record: RunRecord, after: int) -> str:
    taken = {one.name for one in lab.store.state.runs()}
    number = 1
    while f"{record.trunk_name}/replay-{after}-{number}" in taken:
        number += 1
    return f"replay-{after}-{number}"
