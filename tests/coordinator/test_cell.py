"""Coordinators in the cell of a study: guests by themselves, whose runs are found again."""

from collections import Counter

import numpy as np
import pytest
import torch

import flnb
from flnb.coordinator import guesting
from flnb.coordinator.cell import Cell
from flnb.coordinator.history import starting
from flnb.core.errors import FingerprintError, NotFoundError, PlanError, RoundStateError
from flnb.core.view import Status

KEY = "3f9a1c2b77aa"
NAME = "alpha-3f9a1c2b"


@pytest.fixture
def execute(monkeypatch, tmp_path, task):
    """Executes the cell, as each process that does it anew has begun nothing in it."""
    monkeypatch.setenv("FLNB_STUDY_CELL", f"alpha/{KEY}")
    monkeypatch.setenv("FLNB_STUDY_LAB", str(tmp_path / "lab"))
    begun = []

    def begin():
        for before in begun:
            before.stop()
        monkeypatch.setattr(guesting, "_BEGUN", Counter())
        begun.append(flnb.Coordinator(tmp_path / "lab").start())
        begun[-1].simulate(task, workers=0)
        return begun[-1]

    yield begin
    for coordinator in begun:
        coordinator.stop()


def test_the_environment_names_the_cell_of_its_lab_alone(monkeypatch, tmp_path):
    assert Cell.here(str(tmp_path)) is None
    monkeypatch.setenv("FLNB_STUDY_CELL", f"alpha/{KEY}")
    assert Cell.here(str(tmp_path)) == Cell("alpha", KEY)
    monkeypatch.setenv("FLNB_STUDY_LAB", str(tmp_path / "." / "lab"))
    assert Cell.here(str(tmp_path / "lab")) == Cell("alpha", KEY)
    assert Cell.here(str(tmp_path / "other")) is None
    monkeypatch.setenv("FLNB_STUDY_LAB", "s3://models/lab/")
    assert Cell.here("s3://models/lab") == Cell("alpha", KEY)


@pytest.mark.parametrize(
    "named", ["alpha", "alpha/", f"/{KEY}", "alpha/3f9a", "alpha/not-a-number"]
)
def test_what_is_no_cell_is_refused(named, monkeypatch, tmp_path):
    monkeypatch.setenv("FLNB_STUDY_CELL", named)
    with pytest.raises(PlanError, match=r"FLNB_STUDY_CELL is .* names no cell of a study"):
        flnb.Coordinator(tmp_path / "lab")


def test_runs_are_called_after_the_cell_and_found_when_it_is_executed_again(execute, plan, task):
    names = (None, None, "pooled")
    first = execute()
    runs = [first.run(plan, task, name=name).wait() for name in names]
    assert [run.name for run in runs] == [NAME, f"{NAME}.2", f"{NAME}-pooled"]
    second = execute()
    again = [second.run(plan, task, name=name) for name in names]
    assert [run.id for run in again] == [run.id for run in runs]
    assert {run.status for run in again} == {Status.FINISHED}
    assert len(again[0].rounds) == plan.rounds
    assert len(first.lab.runs()) == 3


def test_runs_of_one_cell_have_names_of_their_own_whatever_the_recipe_calls_them():
    cell = Cell("alpha", KEY)
    wanted = [(None, 1), (None, 2), ("2", 1), (".2", 1), ("x", 1), ("x", 2), ("x.2", 1), ("x-2", 1)]
    assert len({cell.name_of(*one) for one in wanted}) == len(wanted)


def test_coordinators_of_one_process_count_the_runs_of_a_cell_together(
    execute, plan, task, tmp_path
):
    first = execute()
    names = [first.run(plan, task).wait().name]
    first.stop()
    with flnb.Coordinator(tmp_path / "lab") as second:
        with pytest.raises(PlanError):
            second.run(plan.replace(invite=1000), task)  # refused: it counts for nothing
        second.simulate(task, workers=0)
        names.append(second.run(plan, task).wait().name)
    assert names == [NAME, f"{NAME}.2"]


def test_a_run_that_rests_goes_on_when_its_cell_is_executed_again(execute, plan, task):
    run = execute().run(plan.replace(rounds=3000), task)
    run.pause().wait(60)
    closed = run.view.round
    again = execute().run(plan.replace(rounds=3000), task)
    assert again.id == run.id
    again.pause().wait(60)
    assert again.view.round >= closed
    assert [row["verb"] for row in again.operations][-2:] == ["resume", "pause"]


def test_a_run_with_another_plan_or_task_is_refused_with_what_differs(execute, plan, task):
    execute().run(plan, task).wait()
    with pytest.raises(PlanError, match="rounds was 4, is 5") as refused:
        execute().run(plan.replace(rounds=5), task)
    assert f"run '{NAME}' was begun with another plan" in str(refused.value)
    coordinator = execute()
    other = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=1))
    coordinator.simulate(other, workers=0)
    with pytest.raises(FingerprintError, match="was started with another task"):
        coordinator.run(plan, other)


def test_a_run_that_began_from_another_model_is_refused(execute, plan, task):
    model = {"1.weight": np.zeros((10, 64), "f4"), "1.bias": np.zeros(10, "f4")}
    other = model | {"1.bias": np.ones(10, "f4")}
    run = execute().run(plan, task, start=model).wait()
    assert execute().run(plan, task, start=dict(model)).id == run.id
    words = rf"'{NAME}' was begun from a state dict .sha256 .* would be from "
    for start, now in ((other, "a state dict .sha256"), (None, "the model that its seed names")):
        with pytest.raises(PlanError, match=words + now):
            execute().run(plan, task, start=start)


def test_a_run_that_is_over_is_handed_back_though_the_file_of_its_start_went(
    execute, plan, task, tmp_path
):
    first, file = execute(), tmp_path / "m.pt"
    torch.save(task.build().state_dict(), file)
    over = first.run(plan, task, start=file).wait()
    resting = first.run(plan.replace(rounds=3000), task, name="long", start=file)
    resting.pause().wait(60)
    file.unlink()
    again = execute()
    assert again.run(plan, task, start=file).id == over.id
    with pytest.raises(NotFoundError, match=r"m\.pt"):
        again.run(plan.replace(rounds=3000), task, name="long", start=file)


def test_a_start_whose_digest_is_known_is_compared_without_reading_tensors(
    execute, plan, task, tmp_path, monkeypatch
):
    first, file = execute(), tmp_path / "m.pt"
    torch.save(task.build().state_dict(), file)
    runs = [first.run(plan, task, start=file).wait()]
    runs.append(first.run(plan, task, name="next", start=f"{NAME}@head").wait())
    again = execute()
    monkeypatch.setattr(starting, "begin_from", None)
    assert again.run(plan, task, start=file).id == runs[0].id
    assert again.run(plan, task, name="next", start=f"{NAME}@head").id == runs[1].id


def test_a_run_that_cannot_be_resumed_stays_with_who_had_it(execute, plan, task, tmp_path):
    run = execute().run(plan, task).wait()
    execute().stop()
    with flnb.Coordinator(tmp_path / "lab", guest=False) as holder:
        with pytest.raises(RoundStateError, match="nothing is left to do"):
            holder.resume(run.name, task)
        assert holder.lab.store.state.run(run.id).guest == NAME


def test_runs_of_a_guest_that_died_are_carried_on_unless_they_are_of_a_study(
    execute, plan, task, tmp_path
):
    of_study = execute().run(plan.replace(rounds=3000), task)
    of_study.pause().wait(60)
    execute().stop()
    with flnb.Coordinator(tmp_path / "lab", guest=False) as holder:
        holder.simulate(task, workers=0)
        other = holder.run(plan.replace(rounds=3000), task, name="other")
        other.pause().wait(60)
        for name, guest in ((of_study.name, NAME), ("other", "guest-1")):
            record = holder.lab.store.state.run(name)
            holder.lab.store.state.give_back(record.id, record.guest)
            holder.lab.store.state.give_back(record.id, guest)
            holder.lab.store.state.set_status(record.id, Status.INTERRUPTED)
        assert holder.carry_on() == ["other"]


def test_a_run_of_another_cell_that_has_the_same_name_is_refused(execute, plan, task, monkeypatch):
    execute().run(plan, task).wait()
    monkeypatch.setenv("FLNB_STUDY_CELL", f"alpha/{KEY}00")
    with pytest.raises(PlanError, match=f"is of alpha/{KEY}, not of cell alpha/{KEY}00"):
        execute().run(plan, task)


def test_a_guest_serves_nobody_and_gives_no_tokens(execute, plan, task):
    coordinator = execute()
    coordinator.run(plan.replace(rounds=1), task).wait()
    for refused in (
        coordinator.listen,
        lambda: coordinator.invite("hospital-a"),
        lambda: coordinator.token("ada"),
        lambda: coordinator.lab.expire(older_than="30d").apply(reason="disk"),
    ):
        with pytest.raises(RoundStateError, match="guest"):
            refused()
    assert f"guest {NAME}" in coordinator._repr_mimebundle_()["text/html"]


def test_a_coordinator_that_shall_hold_the_lab_does_so_in_a_cell_too(execute, tmp_path):
    with flnb.Coordinator(tmp_path / "lab", guest=False) as coordinator:
        assert coordinator.cell is None
        assert coordinator.lab.store.holder.is_here
    with flnb.Coordinator(tmp_path / "lab", guest=True) as coordinator:
        assert coordinator.lab.store.holder is None
        assert list(coordinator.lab.store.state.guests()) == [NAME]


def test_a_guest_outside_of_a_cell_makes_up_names(tmp_path, plan, task):
    with flnb.Coordinator(tmp_path / "lab", guest=True) as coordinator:
        coordinator.simulate(task, workers=0)
        run = coordinator.run(plan, task, name="mine").wait()
        record = coordinator.lab.store.state.run("mine")
        assert record.guest == coordinator.guest
        assert (record.study, record.study_key) == (None, None)
        # Its own tables for its own run, and the whole lab for a question.
        assert len(run.rounds) == len(coordinator.sql("SELECT * FROM rounds")) == plan.rounds
