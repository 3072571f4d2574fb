"""Models of commits, read together with their digests."""

from __future__ import annotations

from flnb.store import LabStore
from flnb.tensors import Layout, Model


def read_model(store: LabStore, snapshot: str, layout: Layout) -> tuple[Model, str]:
    """Read the model of a commit, and its digest, which is made while it is read.

    Raises:
        NotFoundError: There is no such commit.
        StoreError: A part of it is missing.
    """
    digest = Model.digest(layout)
    groups = store.history.read(
        snapshot, ("parameters", "integers"), observe=lambda piece: digest.update(piece.data)
    )
    return Model(layout, groups["parameters"], groups["integers"]), digest.hexdigest()
