"""Bytes of commits that no row names any more: how many there are, and letting them go.

Icechunk frees what no branch or tag reaches. All that a branch ever held is its ancestry, so an old
commit in the middle is let go in three steps: every named commit from before the cut, and every one
that no branch or tag reaches, gets a tag; ancestries are cut there; and the garbage of before a day
ago is collected. A step that was not reached is made by the next sweep, which looks at what is there
and not at what was planned.

Only for whoever holds the lab, between two commits of its writer: a chunk that is written and not yet
named would be garbage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from flnb.core import failpoints
from flnb.core.errors import StoreError
from flnb.store.causes import cause, is_damage, look_up
from flnb.store.place import HistoryPlace
from flnb.store.repository import exclusive, open_repository, plain_errors

if TYPE_CHECKING:
    from icechunk import Diff, Repository

YOUNGEST = timedelta(days=1)
"""Nothing younger is ever removed: somebody may be writing it, or reading it."""
DESCRIPTION_BYTES = 1_000
"""What the two files that describe a commit take, about: they are counted and not looked up."""
_HELD = "held."
"""Begins the tags that a sweep gives."""
_INLINE_BYTES = 512
"""Chunks up to this size lie in the manifest and are no objects (Icechunk's default)."""

ChunkAt = tuple[str, tuple[int, ...] | None]
"""A chunk of an array; None is the array as a whole, made anew."""


class Freed(NamedTuple):
    """Objects in the store, and their bytes."""

    objects: int
    size_bytes: int

    def __add__(self, other: object) -> Freed:
        """Both together."""
        assert isinstance(other, Freed), "only what was freed adds up"
        return Freed(self.objects + other.objects, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class _Node:
    """A commit, what it stands on, and what it wrote."""

    parent: str | None
    manifests: Mapping[str, int]
    """Identity to bytes."""
    written_at: datetime


def weigh(place: HistoryPlace, victims: Collection[str], kept: Collection[str]) -> Freed:
    """Say what letting commits go would free, without doing it.

    A chunk that a commit wrote is free once no commit that stays still refers to it: those that
    stand on it wrote another one in its place, or go as well. Costs a millisecond a commit.

    Args:
        place: Where they are.
        victims: Snapshots that go; one that is gone already frees nothing.
        kept: All others that are named.

    Returns:
        Objects exactly, but for chunks that are older than the cut of an earlier sweep, which
        count as staying; bytes within `DESCRIPTION_BYTES` a commit. What no name reaches now
        (commits of writers that were killed) is not in it.

    Raises:
        StorageUnreachableError: The server does not answer.
        StoreError: Something else keeps from looking.
    """
    if not victims:
        return Freed(0, 0)
    with plain_errors(place):
        return _weight(open_repository(place, create=False), victims, kept)


def _weight(repository: Repository, victims: Collection[str], kept: Collection[str]) -> Freed:
    nodes = dict(_nodes(repository, {*victims, *kept}))
    going = sorted(nodes.keys() & set(victims), key=lambda one: nodes[one].written_at, reverse=True)
    children: dict[str | None, list[str]] = {}
    for snapshot, node in nodes.items():
        children.setdefault(node.parent, []).append(snapshot)
    manifests = {key: size for one in going for key, size in nodes[one].manifests.items()}
    for one in nodes.keys() - set(going):
        for key in nodes[one].manifests:
            manifests.pop(key, None)
    chunks = _chunks(repository, nodes, going, children)
    described = Freed(2 * len(going), DESCRIPTION_BYTES * len(going))
    return described + Freed(len(manifests), sum(manifests.values())) + chunks


def sweep(
    place: HistoryPlace,
    named: Callable[[], Collection[str]],
    before: datetime,
    oldest: datetime,
    check: Callable[[], object] = lambda: None,
) -> Freed:
    """Let everything go that is not named and older than a moment.

    Args:
        place: Where it is.
        named: Looks up the snapshots that stay, whatever their age, once no process can commit.
        before: Commits that were written before it are no longer reached by standing below others.
        oldest: Nothing that was written after it is removed.
        check: Called before each step, of which every tag is one; whoever lost the lab raises there.

    Returns:
        What was freed; more than `weigh` says where a writer was killed, or a sweep cut short.

    Raises:
        StoreError: A commit that stays cannot be read, or another process writes and does not end.
    """
    import icechunk

    repository = open_repository(place)  # a fresh one: what stands on what changes in place
    with plain_errors(place), exclusive(place):
        try:
            _hold(repository, set(named()), cut := min(before, oldest), check)
            failpoints.reach("held")
            check()
            repository.expire_snapshots(older_than=cut)
            failpoints.reach("cut")
            check()
            done = repository.garbage_collect(oldest)
        except icechunk.IcechunkError as error:
            if not is_damage(error):
                raise
            raise StoreError(
                f"no bytes were freed, because a commit that stays cannot be read: {cause(error)}",
                hint="flnb verify names what is damaged",
            ) from error
    descriptions = done.snapshots_deleted + done.transaction_logs_deleted
    return Freed(done.chunks_deleted + done.manifests_deleted + descriptions, done.bytes_deleted)


def _hold(
    repository: Repository, names: set[str], cut: datetime, check: Callable[[], object]
) -> None:
    """Let tags hold named commits, from before the cut or reached by nothing, and no others from then."""
    tags = {tag: repository.lookup_tag(tag) for tag in repository.list_tags()}
    for tag, snapshot in tags.items():
        check()
        if snapshot not in names and _is_old(repository, snapshot, cut):
            repository.delete_tag(tag)
    tips = {repository.lookup_branch(name) for name in repository.list_branches()}
    loose = sorted(names - set(tags.values()))
    young = [one for one in loose if repository.lookup_snapshot(one).written_at >= cut]
    reached = _reached(repository, tips | set(tags.values()), set(young), cut)
    for snapshot in loose:
        check()
        if snapshot not in reached:
            repository.create_tag(_HELD + snapshot, snapshot_id=snapshot)


def _reached(
    repository: Repository, tips: Collection[str], wanted: set[str], cut: datetime
) -> set[str]:
    """Which of the wanted commits, all from after the cut, branches and tags lead to."""
    seen, left = set[str](), set(wanted)
    for tip in tips:
        snapshot: str | None = tip
        while left and snapshot is not None and snapshot not in seen:
            seen.add(snapshot)
            left.discard(snapshot)
            info = repository.lookup_snapshot(snapshot)
            snapshot = info.parent_id if info.written_at >= cut else None
    return wanted - left


def _is_old(repository: Repository, snapshot: str, cut: datetime) -> bool:
    """Whether a commit that nobody names may go; one that is gone or damaged may."""
    info = look_up(repository, snapshot)
    return info is None or info.written_at < cut


def _nodes(repository: Repository, snapshots: Collection[str]) -> Iterator[tuple[str, _Node]]:
    for snapshot in snapshots:
        if (info := look_up(repository, snapshot)) is None:
            continue  # then it frees nothing that could be counted
        told = json.loads(repository.inspect_snapshot(snapshot))
        manifests = {one["id"]: one["size_bytes"] for one in told["manifests"]}
        yield snapshot, _Node(info.parent_id, manifests, info.written_at)


def _chunks(
    repository: Repository,
    nodes: Mapping[str, _Node],
    going: list[str],
    children: Mapping[str | None, list[str]],
) -> Freed:
    """Chunks that would be free; `going` is in order, a commit after those that stand on it."""
    dead: dict[str, set[ChunkAt] | None] = {}
    """Places whose chunk in a commit is needed by nobody who stands on it; None is all."""
    wrote: dict[str, set[ChunkAt]] = {}
    sizes: dict[str, dict[str, int]] = {}
    """Of the chunks of each array, by commit: arrays that are made anew may get others."""
    total = Freed(0, 0)
    for one in going:
        wrote[one] = _wrote(repository, one, nodes[one].parent)
        below: set[ChunkAt] | None = None
        for child in children.get(one, ()):
            if child not in wrote:
                wrote[child] = _wrote(repository, child, one)
            after = dead.get(child, set())
            if after is not None:
                gone = wrote[child] | after
                below = gone if below is None else below & gone
        dead[one] = below
        free = [place for place in wrote[one] if place[1] is not None and _is_in(place, below)]
        known = {
            path: n_bytes
            for child in children.get(one, ())
            for path, n_bytes in sizes.get(child, {}).items()
            if (path, None) not in wrote[child]
        }
        if any(path not in known for path, _ in free):
            known = _chunk_bytes(repository, one)
        sizes[one] = known
        weights = [known[path] for path, _ in free if known[path] > _INLINE_BYTES]
        total += Freed(len(weights), sum(weights))
    return total


def _is_in(place: ChunkAt, places: set[ChunkAt] | None) -> bool:
    return places is None or place in places or (place[0], None) in places


def _wrote(repository: Repository, snapshot: str, parent: str | None) -> set[ChunkAt]:
    """Chunks that a commit wrote, and arrays that it made anew or took out."""
    import icechunk

    if parent is None:
        return set()
    try:
        found: Diff = repository.diff(from_snapshot_id=parent, to_snapshot_id=snapshot)
    except icechunk.IcechunkError as error:
        if is_damage(error) or None in (look_up(repository, one) for one in (parent, snapshot)):
            return set()  # swept away this moment, or damaged: as in `_nodes`
        raise
    chunks = {(path, tuple(at)) for path, places in found.updated_chunks.items() for at in places}
    return chunks | {(path, None) for path in found.new_arrays | found.deleted_arrays}


def _chunk_bytes(repository: Repository, snapshot: str) -> dict[str, int]:
    import zarr

    store = repository.readonly_session(snapshot_id=snapshot).store
    return {
        f"/{name}": array.chunks[0] * array.dtype.itemsize
        for name, array in zarr.open_group(store, mode="r").arrays()
    }
