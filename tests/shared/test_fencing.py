"""Commits of whoever held the lab before: they fit no branch that was put under a mark."""

import pytest

from flnb.core.errors import CommitConflictError
from flnb.store import History, Holder, history
from flnb.testing.stores import same_bits, sample_groups


@pytest.fixture
def before(address):
    """The history as its holder of epoch 1 has it open, with one commit."""
    holder = History(address)
    holder.first = holder.write("run", sample_groups(1), {"epoch": 1})
    yield holder
    holder.close()


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_a_commit_of_an_epoch_before_is_refused(before, address):
    now = History(address)
    now.reset("run", before.first, epoch=2)
    with pytest.raises(CommitConflictError):
        before.write("run", sample_groups(2), {"epoch": 1})
    with pytest.raises(CommitConflictError):
        before.reset("run", before.first, epoch=1)
    second = now.write("run", sample_groups(3), {"epoch": 2})
    assert same_bits(now.read(second), sample_groups(3))
    assert same_bits(now.read(before.first), sample_groups(1))
    now.close()


@pytest.mark.parametrize("place", ["s3"])
def test_a_commit_that_was_under_way_does_not_fit_although_the_branch_is_where_it_was(
    before, address, monkeypatch
):
    now = History(address)

    def stand_still(where):
        if where == "chunks-written":
            now.reset("run", before.first, epoch=2)

    monkeypatch.setattr(history.failpoints, "reach", stand_still)
    with pytest.raises(CommitConflictError):
        before.write("run", sample_groups(2), {"epoch": 1})
    tip = now._open().lookup_branch("run")
    mine = {"epoch": 2, "mark_of": before.first, "mark_by": Holder.here("").mark}
    assert now.meta(tip) == mine
    now.close()


@pytest.mark.parametrize("place", ["folder"])
def test_a_mark_is_made_once_in_an_epoch_by_one_process(before, address, monkeypatch):
    tips = []
    for epoch, process in ((2, "a"), (2, "a"), (2, "b"), (3, "b")):  # guests share an epoch
        monkeypatch.setattr(Holder, "mark", process)
        before.reset("run", before.first, epoch=epoch)
        tips.append(before._open().lookup_branch("run"))
    assert tips[0] == tips[1]
    assert len(set(tips)) == 3
    before.reset("fork", None, epoch=3)
    assert before.read(before.write("fork", sample_groups(4), {"epoch": 3})).keys()
