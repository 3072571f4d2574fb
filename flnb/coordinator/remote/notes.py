"""What a coordinator says to a client, as messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flnb.coordinator.remote.work import Key
from flnb.core.messages import Work
from flnb.transport import CHUNK_BYTES, Package
from flnb.transport.v1 import federation_pb2 as pb

_SEGMENTS = 32
"""Of the line, the newest: what a client keeps of its own is not older."""


@dataclass(frozen=True, slots=True)
class HandedOut:
    """An assignment, most of which all who take part share: they are thousands, each with the base.

    Messages that follow each other are read as one, by the rules of protobuf, and so are the parts of
    a message in them.
    """

    shared: bytes
    own: pb.CoordinatorNote

    def SerializeToString(self) -> bytes:  # noqa: N802 - the name that messages have for it
        """The note as it travels."""
        return self.shared + self.own.SerializeToString()


def shared_by_all(work: Work, package: Package) -> bytes:
    """What all who work for an update are told alike; a base of one chunk goes along."""
    manifest = package.manifest
    message = pb.Assignment(
        seed=work.seed % 2**64,
        entry=work.half.entry,
        local=work.half.local.model_dump_json().encode(),
        weighting=work.weighting,
        federated=work.federated,
        deadline_s=work.deadline_s or 0.0,
        base=manifest.to_message(),
        line=[
            pb.Segment(run=one.run, generation=one.generation, after=one.after, last=one.last or 0)
            for one in work.line[-_SEGMENTS:]
        ],
        inline=bytes(package.data) if manifest.n_bytes <= CHUNK_BYTES else b"",
    )
    return pb.CoordinatorNote(assignment=message).SerializeToString()


def assignment(key: Key, shared: bytes) -> HandedOut:
    """Ask for an update; `shared_by_all` gives what the note shares with those of others."""
    return HandedOut(shared, pb.CoordinatorNote(assignment=pb.Assignment(id=key.message())))


def wanted(key: Key, chunks: Sequence[int]) -> pb.CoordinatorNote:
    """Ask for chunks of an offered update."""
    return pb.CoordinatorNote(wanted=pb.Wanted(assignment=key.message(), chunks=chunks))


def received(key: Key) -> pb.CoordinatorNote:
    """An update is complete and checked."""
    return _verdict(key, pb.Verdict.RECEIVED, "")


def settled(key: Key) -> pb.CoordinatorNote:
    """Nobody will ask for an update again."""
    return _verdict(key, pb.Verdict.SETTLED, "")


def refused(key: Key, reason: str) -> pb.CoordinatorNote:
    """An update must not count."""
    return _verdict(key, pb.Verdict.REFUSED, reason)


def withdrawn(key: Key, reason: str) -> pb.CoordinatorNote:
    """An assignment is taken back."""
    return pb.CoordinatorNote(withdrawn=pb.Withdrawn(assignment=key.message(), reason=reason))


def _verdict(key: Key, kind: pb.Verdict.Kind, reason: str) -> pb.CoordinatorNote:
    return pb.CoordinatorNote(
        verdict=pb.Verdict(assignment=key.message(), kind=kind, reason=reason)
    )
