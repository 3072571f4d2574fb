"""A run as it is answered after something was done to it, and the digests of previews."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any, NamedTuple

from flnb.core.errors import FLBaseError, HeadMovedError, PlanError, RoundStateError
from flnb.core.view import Status
from flnb.service.gateway import Gateway
from flnb.service.reading import finite, plain, told
from flnb.service.shapes.runs import Apply, Preview, RunDetail
from flnb.transport.v1 import control_pb2 as pb


def shown(reply: pb.RunReply) -> RunDetail:
    """A run as the coordinator told it."""
    return RunDetail(view=plain(reply.view), **_beside_its_view(reply))


def written(reply: pb.RunReply) -> str:
    """The same as JSON. The picture, which is most of it, is not read and written again."""
    head = json.dumps(_beside_its_view(reply))
    return f'{head[:-1]}, "view": {finite(reply.view)}}}'


def _beside_its_view(reply: pb.RunReply) -> dict[str, Any]:
    told = {name: getattr(reply, name) for name in ("id", "name", "plan")}
    if not reply.error:
        return told | {"error": None}
    error = plain(reply.error)
    return told | {
        "error": {"class": error["class"], "message": error["fields"].get("message", "")}
    }


_SENSELESS = {
    "pause": {Status.FINISHED, Status.STOPPED, Status.FAILED, Status.INTERRUPTED},
    "resume": {Status.FINISHED, Status.STOPPED},
    "stop": {Status.FINISHED},
}
_BRANCH = "POST …/branches makes one that goes on from any of its rounds"


async def run_in_full(way: Gateway, token: str, run: str) -> RunDetail:
    """Look a run up.

    Raises:
        NotFoundError: There is none.
    """
    return shown(await way.ask(token, "Run", pb.RunRequest(run=run), pb.RunReply))


async def check(way: Gateway, token: str, run: str, order: str) -> None:
    """Look whether an order still makes sense; one that is carried out already does.

    Raises:
        NotFoundError: There is no such run.
        AccessRefusedError: The caller may give no orders.
        RoundStateError: It would do nothing, and nobody would hear of that.
    """
    found = await run_in_full(way, token, run)
    status = found.view["status"]
    if status in _SENSELESS[order]:
        # Who may give no orders is told that first: this look, too, is for operators only.
        await told(way, token, "OperationPage", pb.PageRequest(limit=1))
        raise RoundStateError(f"{found.name} is {status}: it cannot {order} any more", hint=_BRANCH)


class Digest(NamedTuple):
    """Exactly what a preview would do; it travels as one word, and back."""

    run: str
    """Its identity, which is short: a name with its branch has up to 201 characters."""
    seen_generation: int
    seen_round: int
    target: int
    base: str
    """`RUN.GENERATION.ROUND`; empty for the beginning."""

    @property
    def text(self) -> str:
        """As it travels; a changed one is noticed."""
        plain = json.dumps(self, separators=(",", ":"))
        return f"{hashlib.sha256(plain.encode()).hexdigest()[:16]}.{plain.encode().hex()}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read one.

        Raises:
            PlanError: It is none.
        """
        # Its hash says that it came whole, not that a preview made it.
        with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
            found = cls(*json.loads(bytes.fromhex(text.partition(".")[2])))
            if found.text == text and found.request.run and isinstance(found.target, int):
                return found
        raise PlanError(
            "this is not the digest of a preview", hint="ask for one: GET …/rollback?to=ROUND"
        )

    @property
    def request(self) -> pb.RollbackRequest:
        """What the coordinator is asked; without reason and id."""
        asked = pb.RollbackRequest(
            run=self.run, seen_generation=self.seen_generation, seen_round=self.seen_round
        )
        if self.base:
            run, generation, number = self.base.rsplit(".", 2)
            key = pb.RoundKey(run=run, generation=int(generation), round=int(number))
            asked.base.CopyFrom(key)
        return asked


async def preview(way: Gateway, token: str, run: str, to: str) -> Preview:
    """Ask what a roll back would do.

    Args:
        way: To the coordinator.
        token: Of whoever asks.
        run: The branch.
        to: How the round is named, as JSON.

    Raises:
        FLBaseError: There is nothing to roll back to.
    """
    found: dict[str, Any] = await told(
        way, token, "Preview", pb.CheckpointRequest(run=run, which=to)
    )
    base = ".".join(map(str, found["base"])) if found["base"] else ""
    generation, number = found["seen"]
    identity = (await run_in_full(way, token, run)).id
    digest = Digest(identity, generation, number, found["target"], base)
    names = ("target", "seen", "leaves", "blocked_by", "facts")
    told_on = {name: found[name] for name in names}
    return Preview(run=found["name"], digest=digest.text, **told_on)


async def apply(way: Gateway, token: str, run: RunDetail, asked: Apply) -> None:
    """Roll back exactly as a preview said.

    Args:
        way: To the coordinator.
        token: Of whoever asks.
        run: The branch.
        asked: The digest of the preview, and why.

    Raises:
        HeadMovedError: The head is elsewhere now; its `preview` is a fresh one.
        PlanError: The digest is not of a preview of this run.
    """
    digest = Digest.parse(asked.digest)
    if run.id != digest.run:
        raise PlanError(
            f"the preview is of another run or branch than {run.name}",
            hint="ask for one of this: GET …/rollback?to=ROUND",
        )
    request = digest.request
    request.reason = asked.reason
    request.id = asked.id or hashlib.sha256(asked.digest.encode()).hexdigest()[:32]
    try:
        await way.ask(token, "Rollback", request, pb.ToldReply)
    except HeadMovedError as error:
        with contextlib.suppress(FLBaseError):  # the head may be before the target by now
            fresh = await preview(way, token, digest.run, str(digest.target))
            error.preview = fresh.model_dump()
        raise
