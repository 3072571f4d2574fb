"""What is asked of a coordinator in another process, which may have begun it and not be done."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from flnb.coordinator.history import holding
from flnb.core.errors import LabHeldError
from flnb.store import StateStore
from flnb.store.lease import Holder
from flnb.testing.stores import sample_run


def test_whoever_asked_for_what_has_begun_is_told_that_it_goes_on(tmp_path, monkeypatch):
    state, asked = StateStore(tmp_path / "state.db"), []
    state.create_run(sample_run())
    enqueue = state.enqueue_command

    def begun(*command):
        asked.append(enqueue(*command))
        assert state.begin_command(asked[-1].id)
        return asked[-1]

    state.enqueue_command = begun
    monkeypatch.setattr(holding, "_PATIENCE_S", 0.1)
    holder = Holder("coordinator", 7, "box", datetime(2026, 1, 2, tzinfo=UTC))
    lab = SimpleNamespace(store=SimpleNamespace(state=state, holder=holder), address="lab")
    with pytest.raises(LabHeldError, match="since 2026-01-02 00:00:00 UTC") as held:
        holding.ask(lab, "run001", "expire", {}, longer_s=0.1)
    assert "expire has begun there and goes on" in held.value.hint
    assert state.command(asked[0].id).result is None
    state.close()
