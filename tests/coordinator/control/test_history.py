"""History through a connection: the same words, numbers and refusals as where the lab is."""

import threading
from dataclasses import replace

import numpy as np
import pytest

import flnb
from flnb.coordinator.control import afar
from flnb.core.errors import (
    AccessRefusedError,
    DamagedError,
    HeadMovedError,
    IntegrityError,
    NameTakenError,
    NotFoundError,
    PlanError,
    RoundStateError,
    TaskError,
    UnreachableError,
)
from flnb.core.view import Status
from flnb.transport import CHUNK_BYTES
from flnb.transport.v1 import control_pb2 as pb


@pytest.fixture(scope="module")
def task():
    return flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))


@pytest.fixture(scope="module")
def coord(tmp_path_factory, task):
    with flnb.Coordinator(tmp_path_factory.mktemp("history") / "lab") as coordinator:
        coordinator.simulate(task, workers=0)
        local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
        plan = flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=6, invite=4, seed=1)
        coordinator.run(plan.replace(commit_every=2), task, name="otter").wait(60)
        coordinator.lab.run("otter").alias("good", 2, reason="first")
        yield coordinator


@pytest.fixture
def here(coord):
    return coord.lab.run("otter")


@pytest.fixture
def far(person):
    return person().attach("otter")


@pytest.fixture
def answers(coord, monkeypatch):
    """Replaces what the service answers to a method."""
    known = coord._desk.server._controls._answers

    def replace(method, answer):
        monkeypatch.setitem(known, method, answer)
        return known

    return replace


def test_what_is_looked_at_looks_the_same(here, person):
    far = person("viewer").attach("otter")
    assert repr(far.history) == repr(here.history)
    assert far.history.df().equals(here.history.df())
    assert "<svg" in far.history._repr_mimebundle_()["text/html"]
    for which in (2, "@head", "@best", "good"):
        there, near = far.checkpoint(which), here.checkpoint(which)
        assert (repr(there), there.key, there.metrics) == (repr(near), near.key, near.metrics)
        assert there._repr_mimebundle_() == near._repr_mimebundle_()
    assert person().attach("otter").aliases.arrow().equals(here.aliases.arrow())
    assert far.history.commit_before(5) == here.history.commit_before(5)


def test_versions_are_compared_where_they_lie(here, person, answers):
    far = person("viewer").attach("otter")
    answers("Model", lambda *_: pytest.fail("a model was sent"))
    there = far.checkpoint(2).diff(far.checkpoint("@best"))
    near = here.checkpoint(2).diff(here.checkpoint("@best"))
    assert (there.title, repr(there)) == (near.title, repr(near))
    assert there.df().equals(near.df())


def test_a_version_of_elsewhere_is_compared_with_one_of_here(here, far):
    there = far.checkpoint(2).diff(here.checkpoint(6))
    assert there.df().equals(here.checkpoint(2).diff(here.checkpoint(6)).df())


def test_a_version_is_loaded_and_measured_with_the_task_of_here(here, far, task):
    there, near = far.checkpoint(4), here.checkpoint(4)
    np.testing.assert_array_equal(there.model().values, near.model().values)
    assert there.evaluate(task) == pytest.approx(near.metrics)
    module = there.load_into(task.build())
    np.testing.assert_array_equal(module[1].bias.detach().numpy(), near.model().tensor("1.bias"))
    with pytest.raises(TaskError, match="not of this task"):
        there.evaluate(flnb.tasks.digits(model="mlp", split=flnb.IID(clients=6, seed=0)))


def test_an_exported_file_is_the_same_to_the_byte(here, far, tmp_path):
    near = here.checkpoint(4).export(tmp_path / "near.safetensors")
    there = far.checkpoint(4).export(tmp_path / "there.safetensors")
    assert there.read_bytes() == near.read_bytes()
    assert [path.name for path in tmp_path.iterdir()].count(".there.safetensors.draft") == 0


@pytest.fixture
def broken(answers, monkeypatch):
    """Lets each export break after so many bytes; returns where the exports began."""
    monkeypatch.setattr(afar, "_FIRST_S", 0.01)

    def breaks(after, data, sha256):
        began = []

        def export(_claims, request):
            began.append(request.after)
            yield pb.FileHead(n_bytes=len(data), sha256=sha256)
            yield data[request.after : request.after + after]
            if request.after + after < len(data):
                raise UnreachableError("the line broke")

        answers("Export", export)
        return began

    return breaks


def test_an_export_is_worked_out_beside_the_loop(far, answers, tmp_path):
    threads = []

    def export(_claims, _request):
        for part in (
            pb.FileHead(n_bytes=3, sha256=afar.hashlib.sha256(b"abc").hexdigest()),
            b"abc",
        ):
            threads.append(threading.current_thread().name)
            yield part

    answers("Export", export)
    assert far.checkpoint(4).export(tmp_path / "m").read_bytes() == b"abc"
    assert [name.startswith("flnb-questions") for name in threads] == [True, True]


def test_an_export_goes_on_where_the_connection_broke(far, broken, tmp_path):
    data = np.random.default_rng(1).bytes(3 * CHUNK_BYTES)
    began = broken(CHUNK_BYTES, data, afar.hashlib.sha256(data).hexdigest())
    assert far.checkpoint(4).export(tmp_path / "m").read_bytes() == data
    assert began == [0, CHUNK_BYTES, 2 * CHUNK_BYTES]


def test_an_export_that_is_not_what_was_sent_leaves_nothing(far, broken, tmp_path):
    broken(CHUNK_BYTES, b"abc", "0" * 64)
    with pytest.raises(IntegrityError, match="3 with 000000000000 were sent"):
        far.checkpoint(4).export(tmp_path / "m")
    began = broken(0, b"abc", "0" * 64)
    with pytest.raises(UnreachableError, match="the line broke"):
        far.checkpoint(4).export(tmp_path / "m")
    assert began == [0] * 5
    assert list(tmp_path.iterdir()) == []


def test_a_branch_goes_on_beside_its_run(coord, far, person):
    branch = far.branch("bold", at=2, rounds=4)
    assert (branch.name, branch.view.round, branch.plan.rounds) == ("otter/bold", 2, 4)
    assert branch.resume().wait(60).status is Status.FINISHED
    both = flnb.compare(far, branch)
    near = flnb.compare(coord.lab.run("otter"), coord.lab.run("otter/bold"))
    assert (both.df().equals(near.df()), repr(both)) == (True, repr(near))
    operations = coord.lab.store.state.operations()
    assert [one.actor for one in operations if one.verb == "branch"] == ["dr-lee"]


def test_settings_of_a_branch_are_those_that_were_given(far):
    server, guard = flnb.FedAdam(server_lr=0.02), flnb.Guard("loss > 9", then="warn")
    branch = far.branch("adam", at=2, strategy=server, exclude={"c003", "c001"}, guards=[guard])
    plan = branch.plan
    assert (plan.strategy, plan.exclude, plan.guards) == (server, ("c001", "c003"), (guard,))
    with pytest.raises(PlanError, match="no settings like <object"):
        far.branch("x", at=2, exclude=object())


def test_a_preview_is_applied_once_also_when_its_answer_is_lost(coord, far, answers, monkeypatch):
    monkeypatch.setattr(afar, "_FIRST_S", 0.01)
    run, lost = far.branch("undo", at=4), []
    preview = run.rollback(to=2)
    assert repr(preview) == repr(coord.lab.run("otter/undo").rollback(to=2))
    known = answers("Status", None)
    rollback = known["Rollback"]

    def lose(claims, request):
        rollback(claims, request)
        lost.append(request.id)
        if len(lost) < 3:
            raise UnreachableError("the line broke")
        return pb.ToldReply()

    answers("Rollback", lose)
    preview.apply("poisoned")
    preview.apply("poisoned")
    assert (len(lost), set(lost)) == (4, {lost[0]})
    assert (run.view.round, run.view.generation) == (2, 2)
    row = coord.lab.store.state.generations(run.id)[-1]
    assert (row.actor, row.reason) == ("dr-lee", "poisoned")


def test_a_base_that_is_no_commit_of_the_run_is_refused(coord, far, task, plan):
    run = far.branch("stays", at=4)
    other = coord.run(plan.replace(rounds=1, commit_every=1), task).wait(60).checkpoint().key
    for base in ((run.id, 1, 999), other, ("nobody", 1, 1)):
        key = pb.RoundKey(run=base[0], generation=base[1], round=base[2])
        request = pb.RollbackRequest(run=run.id, seen_generation=1, seen_round=4, base=key)
        request.reason, request.id = "by hand", f"by-hand-{base}"
        with pytest.raises(NotFoundError):
            far.source._wire.ask("Rollback", request, pb.ToldReply)
    assert (run.view.round, run.view.generation) == (4, 1)
    assert run.resume().wait(60).status is Status.FINISHED


def test_a_head_that_moved_gives_a_fresh_preview_and_nothing_happens(coord, far):
    run = far.branch("moved", at=4)
    stale = run.rollback(to=2)
    coord.lab.run("otter/moved").rollback(to=2).apply("from elsewhere")
    with pytest.raises(HeadMovedError, match="nothing was done") as moved:
        stale.apply("poisoned")
    assert (moved.value.seen, moved.value.now) == ((1, 4), (2, 2))
    assert moved.value.preview is None  # nothing is left to roll back
    undo = run.rollback(to="before-rollback-moved-1")
    assert undo.facts()["comes back"] == "what led to before-rollback-moved-1, up to round 4"
    undo.apply("it was right")
    assert (run.view.round, run.view.generation) == (4, 3)


def test_a_branch_that_nobody_drives_shows_its_new_head_to_all_within_a_second(coord, far, until):
    far.branch("still", at=4)
    run, there = coord.lab.run("otter/still"), far.source._wire.held
    seen = [there("Run", pb.RunRequest(run="otter/still")).picture, run.source._picture]
    run.rollback(to=2).apply("poisoned")
    until(lambda: all((one.view.generation, one.view.round) == (2, 2) for one in seen), 1.0)


def test_names_are_given_and_taken_back(far, here):
    assert far.alias("serving", 2, if_="accuracy > 0", reason="release").round == 2
    assert far.alias("serving", "@best").key == here.checkpoint("@best").key
    assert far.revert_alias("serving", reason="worse").round == 2
    given = here.aliases.df().query("name == 'serving'")
    assert given["actor"].unique().tolist() == ["dr-lee"]
    assert far.alias("serving", 4, if_="accuracy > 0", dry_run=True).round == 4
    assert len(here.aliases.df().query("name == 'serving'")) == len(given)
    for dry_run in (False, True):
        with pytest.raises(RoundStateError, match=r"accuracy > 0\.999 does not hold"):
            far.alias("serving", 6, if_="accuracy > 0.999", dry_run=dry_run)
        with pytest.raises(PlanError, match="looked up and not given"):
            far.alias("head", 6, dry_run=dry_run)


def test_a_protected_branch_stays_until_an_admin_lets_it_go(far, person):
    run = far.branch("release", at=4)
    with pytest.raises(AccessRefusedError, match="needs the role admin"):
        run.protect()
    admin = person("admin", "dr-kim").attach("otter/release")
    preview = admin.protect(reason="released").rollback(to=2)
    assert preview.facts()["protected"] == "yes: its head is not moved"
    with pytest.raises(RoundStateError, match="is protected"):
        preview.apply("poisoned")
    admin.protect(False).rollback(to=2).apply("poisoned")
    assert admin.view.round == 2


def test_bad_input_gets_the_errors_and_hints_of_the_lab(far, here):
    far.branch("taken", at=2)
    asks = [
        (NotFoundError, lambda run: run.checkpoint("@bets")),
        (NotFoundError, lambda run: run.checkpoint(3)),
        (NotFoundError, lambda run: run.checkpoint(-1)),
        (NotFoundError, lambda run: run.branch("x", at="nowhere")),
        (NotFoundError, lambda run: run.revert_alias("unknown")),
        (PlanError, lambda run: run.rollback(to=6)),
        (PlanError, lambda run: run.rollback(to=2).apply(" ")),
        (PlanError, lambda run: run.branch("a b", at=2)),
        (PlanError, lambda run: run.branch("x", at=2, ruonds=3)),
        (PlanError, lambda run: run.alias("head", 2)),
        (NameTakenError, lambda run: run.branch("taken", at=2)),
        (RoundStateError, lambda run: run.rollback(to=0).apply("an alias is in the way")),
    ]
    for kind, ask in asks:
        with pytest.raises(kind) as near:
            ask(here)
        with pytest.raises(kind) as there:
            ask(far)
        assert (type(there.value), str(there.value)) == (type(near.value), str(near.value))


def test_a_damaged_commit_is_named(far, coord, monkeypatch):
    state = coord.lab.store.state
    known = state.closing_of

    def closing_of(key):
        return replace(known(key), sums="0" * 32)

    monkeypatch.setattr(state, "closing_of", closing_of)
    for ask in (far.checkpoint(4).model, lambda: far.checkpoint(2).diff(far.checkpoint(4))):
        with pytest.raises(DamagedError, match="of otter is damaged"):
            ask()


def test_rounds_are_named_by_numbers_and_names_alone(far):
    for text in ("true", "1.5", "[]", "{", ""):
        request = pb.CheckpointRequest(run=far.id, which=text)
        with pytest.raises(PlanError, match="a number or a name"):
            far.source._wire.whole("Checkpoint", request)


def test_a_viewer_reads_moves_nothing_and_takes_no_model_away(person, tmp_path):
    run = person("viewer").attach("otter")
    checkpoint, preview = run.checkpoint(2), run.rollback(to=2)
    asks = [
        lambda: preview.apply("x"),
        lambda: run.branch("x", at=2),
        lambda: run.alias("x", 2),
        lambda: run.revert_alias("good"),
        checkpoint.model,
        lambda: checkpoint.export(tmp_path / "m"),
    ]
    for ask in asks:
        with pytest.raises(AccessRefusedError, match="needs the role operator"):
            ask()
    with pytest.raises(AccessRefusedError, match="needs the role admin"):
        run.protect()
