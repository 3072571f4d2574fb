"""Parts of long lists, the newest first: runs, closed rounds, what a client did, operations, events."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flnb.coordinator.control import telling
from flnb.coordinator.control.looks import Looks, sees_clients
from flnb.coordinator.control.plain import round_to_json
from flnb.coordinator.control.plain_history import key_from_message
from flnb.core.errors import NotFoundError, PlanError, RoundStateError, did_you_mean
from flnb.core.ids import RunId
from flnb.core.plan import Plan
from flnb.core.view import Status
from flnb.store import Closing, Cursor, Glimpse, Page, RoundKey, RunRecord
from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator

_MOST = 500
"""Of one page."""
_FURTHEST = 2**31 - 1
_KEPT = 5000
"""Rounds whose numbers are kept as they travel: to read them takes a third of a millisecond each."""
_HISTORY = """
SELECT a.run, a.branch, a.generation, a.round, a.attempt, a.outcome, a.reason, u.n_examples, u.weight,
       u.loss, u.norm, u.bytes_up, u.arrived_s, u.train_s, u.accepted, r.closed_at
FROM assignments a
LEFT JOIN updates u USING (run, branch, generation, round, client)
LEFT JOIN rounds r USING (run, branch, generation, round)
WHERE a.client = {client} {of_run}
"""


Answer = Callable[[Claims, Any], bytes]


class Pages:
    """Answers that are pages; all of them block.

    Args:
        coordinator: Whose lab it is.
        looks: Knows who may see what.
    """

    def __init__(self, coordinator: Coordinator, looks: Looks) -> None:
        self._coordinator, self._looks = coordinator, looks
        self._state = coordinator.lab.store.state
        self._kept: dict[tuple[int, bool], dict[str, Any]] = {}
        self._keeping = threading.Lock()
        self.answers: Mapping[str, Any] = {
            "RunPage": self._at_one_moment(self._runs),
            "RoundPage": self._at_one_moment(self._rounds),
            "RoundAt": self._at_one_moment(self._round),
            "OperationPage": self._at_one_moment(self._operations),
            "EventPage": self._at_one_moment(self._events),
            "StopRound": self._stop_round,
            "ClientPage": self._client,
        }

    def _at_one_moment(self, answer: Answer) -> Answer:
        """One transaction for a whole page: what is told fits together, and costs half."""

        def answered(claims: Claims, asked: Any) -> bytes:
            with self._state.at_one_moment():
                return answer(claims, asked)

        return answered

    def _runs(self, claims: Claims, asked: pb.PageRequest) -> bytes:
        _check_status(asked.state)
        run = self._state.run(asked.run) if asked.run else None
        mine = run and {run.id, run.name}
        wanted = [
            one
            for one in self._state.glimpses()
            if (not asked.state or one.status == asked.state)
            and (not mine or mine & {one.id, one.name, one.name.partition("/")[0]})
        ]
        page = page_of(asked)
        part = wanted[page.offset : page.offset + page.limit]
        latest = self._state.latest([one.id for one in part])
        items = [self._run(claims, one, latest.get(one.id)) for one in part]
        _, n_rounds = self._state.rounds_page(Page(0, 0), run)
        return written(items, len(wanted), page, rounds=n_rounds)

    def _run(self, claims: Claims, glimpse: Glimpse, last: Closing | None) -> dict[str, Any]:
        record = self._state.run(glimpse.id)
        picture = self._coordinator.picture(glimpse.id)
        now = glimpse if picture is None else picture.view
        return {
            "id": record.id,
            "name": record.name,
            "branch": record.branch,
            "generation": now.generation,
            "status": str(now.status),
            "waits_for": record.waits_for,
            "task": record.task_name,
            "rounds": _planned(record.plan_yaml),
            "round": last.round if last else 0,
            "metrics": telling.metrics_of(last) if last else {},
            "protected": bool(record.protected),
            "error": (record.error or "") if sees_clients(claims) else "",
            "created_at": record.created_at,
            "updated_at": record.updated_at,
            "closed_at": last.closed_at if last else None,
        }

    def _rounds(self, claims: Claims, asked: pb.PageRequest) -> bytes:
        run = self._state.run(asked.run) if asked.run else None
        page = page_of(asked)
        found, total = self._state.rounds_page(page, run, committed=asked.committed)
        return written(self._told(claims, found), total, page)

    def _told(self, claims: Claims, closings: Sequence[Closing]) -> list[dict[str, Any]]:
        """Closed rounds as they travel: with the names of their runs, and what they are called."""
        records = {run: self._state.run(run) for run in {one.run for one in closings}}
        leading = self._state.leading([one.round_key for one in closings])
        named = self._named(records)
        return [
            self._round_told(one, clients=sees_clients(claims))
            | {
                "id": ".".join(map(str, one.round_key)),
                "run": records[one.run].name,
                "leads": leading[one.round_key],
                "names": named.get(one.round_key, []),
            }
            for one in closings
        ]

    def _round_told(self, closing: Closing, *, clients: bool) -> dict[str, Any]:
        """A closed round as it travels; one that changes gets another position, so it is kept."""
        key = closing.position, clients
        if (told := self._kept.get(key)) is None:
            told = telling.closed_round(closing, clients=clients)
            with self._keeping:
                while len(self._kept) >= _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = told
        return told

    def _named(self, records: Mapping[RunId, RunRecord]) -> dict[RoundKey, list[str]]:
        """What rounds of some runs are called."""
        trunks = {record.trunk_name: record.id for record in records.values()}
        named: dict[RoundKey, list[str]] = {}
        for run in trunks.values():
            for one in self._state.names(run).values():
                named.setdefault(one.key, []).append(one.name)
        return named

    def _round(self, claims: Claims, asked: pb.RoundKey) -> bytes:
        closing = self._closing(key_from_message(asked))
        (told,) = self._told(claims, [closing])
        rows = round_to_json(closing, clients=sees_clients(claims)).decode()
        return telling.to_json(told | {"closing": rows}).encode()

    def _closing(self, key: RoundKey) -> Closing:
        key = key._replace(run=self._state.run(key.run).id)
        if (closing := self._state.closing_of(key)) is None:
            raise NotFoundError("closed round", ".".join(map(str, key)))
        return closing

    def _stop_round(self, _: Claims, asked: pb.RoundKey) -> pb.ToldReply:
        key = key_from_message(asked)
        run = self._coordinator.lab.run(key.run)
        key = key._replace(run=run.id)
        if (key.generation, key.round) != (run.view.generation, run.view.open_round):
            closed = self._state.closing_of(key) is not None
            raise RoundStateError(
                f"round {key.round} of {run.name} is {'closed' if closed else 'not open'}",
                hint=f"{run.name} is {run.view.status}, its last closed round is {run.view.round}",
            )
        run.stop()
        return pb.ToldReply()

    def _client(self, _: Claims, asked: pb.PageRequest) -> bytes:
        lab, page = self._coordinator.lab, page_of(asked)
        record = self._state.run(asked.run) if asked.run else None
        of_run = "AND run = {} AND branch = {}"
        said = of_run.format(_quoted(record.trunk_name), _quoted(record.branch)) if record else ""
        query = _HISTORY.format(client=_quoted(asked.client), of_run=said)
        (total,) = lab.sql(f"SELECT count(*) AS n FROM ({query})").arrow()["n"].to_pylist()  # noqa: S608  # quoted above
        if not total and self._state.find_client(asked.client) is None:
            raise NotFoundError("client", asked.client, [one.name for one in self._state.clients()])
        part = f"{query} ORDER BY closed_at DESC LIMIT {page.limit} OFFSET {page.offset}"
        return written(list(lab.sql(part)), total, page)

    def _operations(self, _: Claims, asked: pb.PageRequest) -> bytes:
        page = page_of(asked)
        run = self._state.run(asked.run) if asked.run else None
        rows, total = self._state.operations_page(
            page, run=run.id if run else None, actor=asked.actor, verb=asked.verb
        )
        names = {one.id: one.name for one in self._state.glimpses()}
        items = [row | {"run": names.get(row["run"], ""), "run_id": row["run"]} for row in rows]
        return written(items, total, page)

    def _events(self, claims: Claims, asked: pb.PageRequest) -> bytes:
        newest, page = self._state.newest(), page_of(asked)
        after = Cursor.parse(asked.after) if asked.after else Cursor(0, 0, newest.lab)
        if after.lab != newest.lab or not newest.covers(after):
            raise PlanError(
                f"the cursor {after.text} is not of this lab as it is, which is at {newest.text}",
                hint="begin without one",
            )
        names = {one.id: one.name for one in self._state.glimpses()}
        items = []
        for one in self._state.happened(after)[: page.limit]:
            after = one.cursor
            name = names.get(RunId(one.what.run or ""), "")
            kind, run, data = telling.durable(one.what, name, clients=sees_clients(claims))
            items.append({"type": kind, "cursor": after.text, "run": run, "data": data})
        return telling.to_json({"items": items, "next": after.text}).encode()


@functools.lru_cache(4096)
def _planned(plan_yaml: str) -> int:
    """How many rounds a plan has; to read YAML takes milliseconds, and a list has many plans."""
    return Plan.from_stored(plan_yaml).rounds


def page_of(asked: pb.PageRequest | pb.StudyRequest) -> Page:
    """Which part is wanted; no more than one page has."""
    return Page(min(asked.limit or _MOST, _MOST), min(asked.offset, _FURTHEST))


def _check_status(name: str) -> None:
    if name and name not in set(Status):
        raise PlanError(f"no run can be {name!r}", hint=did_you_mean(name, list(Status)))


def written(items: list[Any], total: int, page: Page, **more: Any) -> bytes:
    """A part of a list as it travels."""
    told = {"items": items, "total": total, "limit": page.limit, "offset": page.offset}
    return telling.to_json(told | more).encode()


def _quoted(text: str) -> str:
    """Text in SQL; DuckDB knows no sign in it but the quote, and a query no NUL."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"
