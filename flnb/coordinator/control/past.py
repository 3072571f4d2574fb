"""What a service shows of the history of runs, and how it moves their heads when it is asked to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flnb.coordinator.acting import request
from flnb.coordinator.control.looks import Looks, sees_clients
from flnb.coordinator.control.orders import in_other_hands, settings_of
from flnb.coordinator.control.plain_history import (
    checkpoint_to_json,
    difference_to_json,
    key_from_message,
    preview_to_json,
    walk_to_json,
    which_from_json,
)
from flnb.coordinator.history.moving import roll_back
from flnb.coordinator.local import LocalRun
from flnb.coordinator.run import Run
from flnb.core.errors import PlanError
from flnb.store import HIDDEN, Table
from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.coordinator.history.checkpoint import Checkpoint


class Past:
    """Answers about history; all of them block.

    Args:
        coordinator: Whose runs they are.
        looks: Says how a run stands.
    """

    def __init__(self, coordinator: Coordinator, looks: Looks) -> None:
        self._coordinator, self._looks = coordinator, looks
        self.answers: Mapping[str, Any] = {
            "History": self._history,
            "Checkpoint": self._checkpoint,
            "Diff": self._diff,
            "Export": self._export,
            "Aliases": self._aliases,
            "Preview": self._preview,
            "Branch": self._branch,
            "Rollback": self._rollback,
            "Alias": self._alias,
            "Protect": self._protect,
        }

    def _history(self, claims: Claims, asked: pb.HistoryRequest) -> bytes:
        history = self._source(asked.run).history()
        return walk_to_json(history if sees_clients(claims) else history.for_viewers())

    def _checkpoint(self, _: Claims, asked: pb.CheckpointRequest) -> bytes:
        which = which_from_json(asked.which)
        return checkpoint_to_json(self._source(asked.run).meets(which, asked.condition))

    def _diff(self, _: Claims, asked: pb.DiffRequest) -> bytes:
        return difference_to_json(self._at(asked.before).diff(self._at(asked.after)))

    def _export(self, _: Claims, asked: pb.ExportRequest) -> Iterator[pb.FileHead | memoryview]:
        file = self._at(asked.round).tensor_file()
        head = pb.FileHead(n_bytes=file.n_bytes, sha256=file.sha256)

        def parts() -> Iterator[pb.FileHead | memoryview]:
            yield head
            yield from file.pieces(asked.after)

        return parts()

    def _aliases(self, claims: Claims, asked: pb.HistoryRequest) -> bytes:
        table = self._source(asked.run).aliases()
        return (table if sees_clients(claims) else _without_words(table)).to_ipc()

    def _preview(self, _: Claims, asked: pb.CheckpointRequest) -> bytes:
        return preview_to_json(self._source(asked.run).rollback(which_from_json(asked.which)))

    def _branch(self, claims: Claims, asked: pb.BranchRequest) -> pb.RunReply:
        at = None if asked.at == "null" else which_from_json(asked.at)
        changes = settings_of(asked.changes)
        source = self._source(asked.run)
        made = source.fork_once(asked.name, at, changes, request("", asked.id))
        return self._looks.reply(claims, Run(made))

    def _rollback(self, _: Claims, asked: pb.RollbackRequest) -> pb.ToldReply:
        if not (asked.reason.strip() and asked.id):
            raise PlanError("a roll back needs a reason, and a name of its own")
        base = key_from_message(asked.base) if asked.HasField("base") else None
        seen = (asked.seen_generation, asked.seen_round)
        run = self._coordinator.lab.store.state.run(asked.run).id
        with in_other_hands():  # by the lab, which asks the guest that has the run
            roll_back(self._coordinator.lab, run, seen, base, request(asked.reason, asked.id))
        return pb.ToldReply()

    def _alias(self, _: Claims, asked: pb.AliasRequest) -> bytes:
        source = self._source(asked.run)
        if not asked.which:
            return checkpoint_to_json(source.give_alias_back(asked.name, asked.reason))
        at = which_from_json(asked.which)
        given = source.give_alias(asked.name, at, asked.condition, asked.reason)
        return checkpoint_to_json(given)

    def _protect(self, _: Claims, asked: pb.ProtectRequest) -> pb.ToldReply:
        self._source(asked.run).protect(asked.protected, asked.reason)
        return pb.ToldReply()

    def _source(self, run: str) -> LocalRun:
        source = self._coordinator.lab.run(run).source
        assert isinstance(source, LocalRun), "runs of a lab are local"
        return source

    def _at(self, key: pb.RoundKey) -> Checkpoint:
        source = self._source(key.run)
        return source.history().at(key_from_message(key)._replace(run=source.id))


def _without_words(aliases: Table) -> Table:
    """Names and what they mean, without who gave them and why: that may quote a client."""
    arrow = aliases.arrow()
    hidden = dict.fromkeys(("actor", "reason"), [HIDDEN] * len(aliases))
    return Table.of({name: hidden.get(name, arrow[name]) for name in aliases.columns})
