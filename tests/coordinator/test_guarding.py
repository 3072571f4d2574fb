"""Guards at work: what they see, what they do, and that they stop."""

import pytest

import flnb
from flnb.coordinator.drive import Drive
from flnb.coordinator.guarding import Fired, Monitor, go_back
from flnb.core.errors import GuardError, PlanError, StoreError
from flnb.core.view import Status
from flnb.rounds import PauseAsked


@pytest.fixture
def guarded(coord, plan, task):
    """Starts a run of six rounds with guards."""

    def start(*guards, **changes):
        rules = plan.replace(**{"rounds": 6, "commit_every": 2, "guards": guards, **changes})
        return coord.run(rules, task, name="otter")

    return start


def log_of(run, coord):
    operations = coord.lab.store.state.operations(run.id)
    return [(one.actor, one.verb) for one in operations if one.actor == "guard"]


def test_a_guard_that_never_holds_changes_nothing(guarded, coord, plan, task):
    run = guarded(flnb.Guard("not finite(loss)", then="rollback")).wait(60)
    bare = coord.run(plan.replace(rounds=6), task).wait(60)
    assert run.parameters_sha256 == bare.parameters_sha256
    assert log_of(run, coord) == []


def test_a_warning_is_an_event_and_the_run_goes_on(guarded):
    run = guarded(flnb.Guard("accuracy > 0.7", then="warn")).wait(60)
    told = run.events.df().query("kind == 'guard'")
    accuracy = run.metrics.df().query("scope == 'central' and metric == 'accuracy'")
    assert told["round"].tolist() == accuracy.query("value > 0.7")["round"].tolist() != []
    assert told["detail"].iloc[0].startswith("warn: accuracy > 0.7 (accuracy = 0.7")
    assert run.status is Status.FINISHED
    card = run._repr_mimebundle_()["text/html"]
    assert "accuracy &gt; 0.7 → warn" in card
    assert f"round {told['round'].iloc[-1]}, warn: accuracy &gt; 0.7 (accuracy = 0." in card


def test_a_guard_that_pauses_rests_at_the_round_with_a_commit(guarded, coord):
    run = guarded(flnb.Guard("accuracy > 0.5"))
    with pytest.raises(GuardError, match=r"a guard held in round \d: accuracy > 0.5 .accuracy = 0"):
        run.wait(60)
    at = run.view.round
    assert run.status is Status.PAUSED
    assert run.checkpoint().round == at
    assert run.events.df().query("kind == 'guard'")["round"].tolist() == [at]
    (paused,) = [o for o in coord.lab.store.state.operations(run.id) if o.actor == "guard"]
    assert paused.details == {"guard": "accuracy > 0.5", "round": at, "generation": 1}
    assert "accuracy = 0." in paused.reason
    assert run.resume(guards=[]).wait(60).status is Status.FINISHED


def test_what_a_guard_paused_is_paused_though_the_process_dies_before_it_rests(
    guarded, coord, monkeypatch
):
    async def killed(_self, status, _error=None):
        if status is Status.PAUSED:
            raise StoreError("nothing more is written")

    monkeypatch.setattr(Drive, "_write", killed)
    run = guarded(flnb.Guard("accuracy > 0.5"))
    with pytest.raises(GuardError):
        run.wait(60)
    record = coord.lab.store.state.run(run.id)
    assert record.status is Status.PAUSED, "interrupted, it would be carried on past the guard"
    assert "accuracy > 0.5" in record.error


def test_a_guard_goes_back_draws_another_cohort_and_then_rests(guarded, coord):
    guard = flnb.Guard("training.loss < 2.1", then="rollback")  # whoever is asked
    run = guarded(guard)
    with pytest.raises(GuardError, match="it went back from this round before"):
        run.wait(60)
    first, again = (
        coord.lab.store.state.closing_of(key)
        for key, *_ in coord.lab.store.state.rounds_of([run.id])
        if key.round == run.view.round
    )
    assert (first.generation, again.generation, run.view.generation) == (1, 2, 2)
    assert (first.attempt, again.attempt) == (0, 1)
    assert set(first.assignments["client"]) != set(again.assignments["client"])
    assert log_of(run, coord) == [("guard", "rollback"), ("guard", "pause")]
    assert "@before-rollback-1" in repr(run.history)
    (moved,) = coord.lab.store.state.generations(run.id)
    assert moved.reason.startswith("training.loss < 2.1 (training.loss = ")


def test_a_guard_goes_back_no_more_often_than_its_limit(guarded, coord):
    run = guarded(flnb.Guard("training.loss < 9", then="rollback", limit=1), seed=3)
    with pytest.raises(GuardError, match="went back"):
        run.wait(60)
    assert run.view.round == 1
    assert log_of(run, coord) == [("guard", "rollback"), ("guard", "pause")]


def test_a_protected_head_is_not_moved_by_a_guard(guarded, coord):
    run = guarded(rounds=500).pause().wait(60).protect(reason="published")
    guard = flnb.Guard("training.loss < 9", then="rollback")
    with pytest.raises(GuardError, match="could not go back: otter is protected"):
        run.resume(guards=[guard]).wait(60)


def test_names_that_nobody_measures_are_refused_before_the_first_round(guarded):
    with pytest.raises(PlanError, match=r"names 'acuracy': did you mean 'accuracy'"):
        guarded(flnb.Guard("acuracy < 0.5"))
    with pytest.raises(PlanError, match=r"'federated\.loss'"):
        guarded(flnb.Guard("federated.loss > 3"))
    with pytest.raises(PlanError, match="'loss'"):
        guarded(flnb.Guard("loss > 3"), evaluation=flnb.Evaluation(central_every=0))


def test_names_that_nobody_measures_are_refused_on_a_branch_too(guarded, coord, monkeypatch):
    run, wrong = guarded(rounds=2).wait(60), [flnb.Guard("acuracy < 0.5")]
    with pytest.raises(PlanError, match=r"names 'acuracy': did you mean 'accuracy'"):
        run.branch("seen", at=2, guards=wrong, rounds=3)
    with monkeypatch.context() as patched:
        patched.setattr(coord, "task_of", lambda record: None)
        branch = run.branch("unseen", at=2, guards=wrong, rounds=3)
    with pytest.raises(PlanError, match="names 'acuracy'"):
        branch.resume()
    assert branch.resume(guards=[]).wait(60).status is Status.FINISHED


def test_what_held_before_a_crash_is_acted_upon_once_when_the_run_goes_on(guarded, monkeypatch):
    def dies(*_):
        raise OSError("as if killed")

    with monkeypatch.context() as patched:
        patched.setattr("flnb.coordinator.drive.go_back", dies)
        run = guarded(flnb.Guard("accuracy > 0.5"))
        with pytest.raises(flnb.FLBaseError, match="as if killed"):
            run.wait(60)
    at = run.view.round
    with pytest.raises(GuardError, match=f"a guard held in round {at}"):
        run.resume().wait(60)
    assert run.view.round == at
    with pytest.raises(GuardError, match=f"a guard held in round {at + 1}"):
        run.resume().wait(60)


@pytest.mark.parametrize("moment", ["before the round", "while guards are looked at"])
def test_a_pause_asked_in_the_round_in_which_a_guard_holds_comes_first(
    guarded, coord, monkeypatch, moment
):
    name = "remember" if moment == "before the round" else "look"
    does = getattr(Monitor, name)

    def asked(watch, *arguments):
        coord.tell(coord.driven[0], PauseAsked())
        return does(watch, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Monitor, name, asked)
        run = guarded(flnb.Guard("training.loss < 9", then="rollback", limit=1)).wait(60)
    assert (run.status, run.view.round, run.view.generation) == (Status.PAUSED, 1, 1)
    with pytest.raises(GuardError, match="went back"):
        run.resume().wait(60)  # the guard acts when the run goes on
    assert run.view.generation == 2


def test_a_pause_asked_in_the_round_in_which_a_guard_pauses_says_what_held(
    guarded, coord, monkeypatch
):
    look = Monitor.look

    def asked(watch, closing):
        coord.tell(closing.run, PauseAsked())
        return look(watch, closing)

    with monkeypatch.context() as patched:
        patched.setattr(Monitor, "look", asked)
        run = guarded(flnb.Guard("training.loss < 9"), rounds=2)
        with pytest.raises(GuardError, match="a guard held in round 1"):
            run.wait(60)
    assert ("guard", "pause") in log_of(run, coord)
    with pytest.raises(GuardError, match="a guard held in round 2"):
        run.resume().wait(60)  # what held in round 1 was answered


def test_a_stop_asked_while_guards_are_looked_at_ends_the_run(guarded, coord, monkeypatch):
    look = Monitor.look

    def asked(watch, closing):
        coord.end(closing.run)
        return look(watch, closing)

    monkeypatch.setattr(Monitor, "look", asked)
    run = guarded(flnb.Guard("training.loss < 9", then="rollback")).wait(60)
    assert (run.status, run.view.round, run.view.generation) == (Status.STOPPED, 1, 1)


def test_a_stop_asked_while_a_guard_finds_that_it_must_pause_ends_the_run(
    guarded, coord, monkeypatch
):
    def asked(store, job, fired):
        coord.end(job.record.id)
        return go_back(store, job, fired)

    monkeypatch.setattr("flnb.coordinator.drive.go_back", asked)
    run = guarded(flnb.Guard("training.loss < 9"))
    with pytest.raises(GuardError):
        run.wait(60)
    assert run.status is Status.STOPPED
    assert coord.lab.store.state.run(run.id).status is Status.STOPPED


def test_a_round_that_a_guard_repaired_stays_repaired_when_a_later_one_goes_back_across_it(
    guarded, coord, monkeypatch
):
    guard, look = flnb.Guard("training.loss < 0", then="rollback"), Monitor.look

    def breaks(watch, closing):
        fired = Fired(guard, closing.round, closing.attempt, "as if it held")
        bad = closing.round in {3, 5} and closing.attempt == 0
        return (closing, fired) if bad else look(watch, closing)

    monkeypatch.setattr(Monitor, "look", breaks)
    run = guarded(guard, commit_every=10).wait(60)
    assert (run.status, run.view.generation) == (Status.FINISHED, 3)
    assert coord.lab.store.state.failed_attempts(run.id) == {3: 1, 5: 1}
    assert [base.base for base in coord.lab.store.state.generations(run.id)] == [None, None]
