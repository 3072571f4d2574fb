"""`flnb ckpt` and `flnb run branch | rollback` on a real lab that nobody holds."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

import flnb as library
from flnb.core.clock import SystemClock
from flnb.core.errors import HeadMovedError
from tests.interpreters import FLNB


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history") / "lab"
    task = library.tasks.digits(split=library.IID(clients=4, seed=0))
    plan = library.Plan(
        strategy=library.FedAvg(local=library.Local(lr=0.1)), rounds=4, invite=4, commit_every=2
    )
    with library.Coordinator(folder) as coordinator:
        coordinator.simulate(task, workers=0)
        coordinator.run(plan, task, name="otter").wait(60)
    return folder


@pytest.fixture
def call(flnb, folder):
    return lambda *arguments: flnb(*arguments, "--lab", str(folder))


def test_the_list_is_the_graph(call):
    assert call("ckpt", "list", "otter").out.splitlines()[1].startswith("main gen 1   1–4")
    rows = json.loads(call("ckpt", "list", "otter", "--json").out)
    assert [row["round"] for row in rows if row["commit"]] == [2, 4]


def test_a_difference_is_a_row_a_tensor(call):
    rows = json.loads(call("ckpt", "diff", "otter", "2", "@head", "--json").out)
    assert {row["tensor"] for row in rows} == {"1.weight", "1.bias"}
    for after in ("4", "main@4", "otter@head"):
        assert "relative_l2" in call("ckpt", "diff", "otter", "2", after).out


def test_a_checkpoint_is_exported_unless_it_is_a_dry_run(call, tmp_path):
    target = tmp_path / "m.safetensors"
    said = json.loads(
        call("ckpt", "export", "otter", "@best", "--to", str(target), "--dry-run", "--json").out
    )
    assert (said["done"], target.exists()) == (False, False)
    assert "is in" in call("ckpt", "export", "otter", "@best", "--to", str(target)).err
    assert target.exists()


@pytest.mark.parametrize("look", [(), ("--dry-run",)])
def test_a_file_is_replaced_if_one_says_so_and_no_folder_is_made(call, tmp_path, look):
    target = tmp_path / "m.safetensors"
    target.write_text("mine")
    command = ("ckpt", "export", "otter", "2", *look, "--to")
    for path, code, words in (
        (target, 2, "is there already\n→ --force"),
        (tmp_path, 2, "is a folder"),
        (tmp_path / "no" / "m.safetensors", 2, "no folder"),
    ):
        refused = call(*command, str(path))
        assert (refused.code, words in refused.err) == (code, True)
    assert target.read_text() == "mine"
    assert call(*command, str(target), "--force").code == 0
    assert (target.read_bytes() == b"mine") == bool(look)


def test_an_alias_is_given_under_a_condition(call):
    for look in ((), ("--dry-run",)):
        wanted = ("ckpt", "alias", "otter", "serving", "2", "--if", "accuracy > 0.999")
        refused = call(*wanted, *look)
        assert (refused.code, "accuracy > 0.999 does not hold" in refused.err) == (3, True)
    assert call("ckpt", "alias", "otter", "serving", "2", "--dry-run").err.startswith(
        "@serving would"
    )
    assert json.loads(call("ckpt", "alias", "otter", "good", "4", "--json").out)["round"] == 4


def test_a_branch_begins_where_it_is_told(call):
    wanted = ("run", "branch", "otter", "lr", "--from", "2", "--set", "rounds=3")
    assert json.loads(call(*wanted, "--dry-run", "--json").out)["at"] == 2
    for name in ("strategy.local.lr", "plan.strategy.local.lr"):
        looked = call(*wanted, "--set", f"{name}=0.3", "--dry-run")
        assert "  rounds: 4 → 3\n  strategy.local.lr: 0.1 → 0.3\n" in looked.err
    made = json.loads(call(*wanted, "--json").out)
    assert (made["branch"], made["at"], made["done"]) == ("otter/lr", 2, True)
    for name in ("lr", "main"):
        for look in ((), ("--dry-run",)):
            taken = call("run", "branch", "otter", name, "--from", "2", *look)
            assert (taken.code, "already" in taken.err) == (2, True)
    assert call("run", "branch", "otter", "x", "--set", "ruonds=3").code == 2


def test_a_roll_back_shows_what_it_would_do_and_needs_a_reason(call):
    looked = call("run", "rollback", "otter", "--to", "2", "--dry-run")
    assert (looked.code, "rounds 3–4 (2)" in looked.err) == (3, True)
    assert "@good would leave otter" in looked.err
    unsaid = call("run", "rollback", "otter", "--to", "2")
    assert (unsaid.code, "nothing has happened yet" in unsaid.err) == (2, False)
    blocked = call("run", "rollback", "otter", "--to", "2", "--reason", "x", "--yes")
    assert (blocked.code, "@good" in blocked.err) == (3, True)


def test_a_roll_back_of_a_protected_branch_is_refused_as_a_dry_run_too(call, folder):
    call("ckpt", "alias", "otter", "good", "2")
    wanted = ("run", "rollback", "otter", "--to", "2", "--dry-run", "--json")
    assert json.loads(call(*wanted).out)["done"] is False
    run = library.open(folder).run("otter").protect()
    refused = call(*wanted)
    assert (refused.code, "is protected" in refused.err + refused.out) == (3, True)
    run.protect(False)


def test_a_roll_back_is_done_and_undone(call):
    call("ckpt", "alias", "otter", "good", "2")
    done = json.loads(call("run", "rollback", "otter", "--to", "2", "--reason", "x", "--json").out)
    assert (done["done"], done["rounds"]) == (True, [3, 4])
    undo = ("run", "rollback", "otter", "--to", "before-rollback-1", "--reason", "y", "--yes")
    undone = call(*undo)
    assert (undone.code, undone.err.splitlines()[-1]) == (0, "otter is at round 4")
    shown = json.loads(call("runs", "show", "otter", "--json").out)
    assert (shown["round"], shown["generation"]) == (4, 3)


def test_a_roll_back_says_where_the_head_is(call):
    call("ckpt", "alias", "otter", "good", "2")
    call("run", "branch", "otter", "back", "--from", "4")
    done = call("run", "rollback", "otter/back", "--to", "3", "--reason", "x", "--yes")
    assert "otter/back is at round 2, from which it comes to round 3 again; " in done.err


def test_a_roll_back_looks_again_while_rounds_close_and_says_how_to_end_that(call, monkeypatch):
    from flnb.coordinator.history.preview import RollbackPreview

    tried = []

    def moved(self, asked):
        tried.append(asked.id)
        raise HeadMovedError("otter", (1, 3), (1, 4))

    monkeypatch.setattr(RollbackPreview, "_move", moved)
    back = call("run", "rollback", "otter", "--to", "2", "--reason", "x", "--yes")
    assert (back.code, len(set(tried))) == (3, 5)
    assert "→ flnb runs pause otter --lab " in back.err
    assert back.err.endswith(" first\n")


def test_old_commits_go_with_a_reason_and_are_only_looked_at_without(
    flnb, folder, tmp_path, monkeypatch
):
    shutil.copytree(folder, tmp_path / "lab")
    call = lambda *words: flnb(*words, "--lab", str(tmp_path / "lab"))  # noqa: E731  # as the fixture
    later = datetime.now(UTC) + timedelta(days=40)
    monkeypatch.setattr(SystemClock, "now", lambda _: later)
    command = ("ckpt", "expire", "otter", "--keep", "")
    told = json.loads(call(*command, "--dry-run", "--json").out)
    assert (told["commits"], told["done"]) == (
        len(told["rounds"].get("otter gen 1", "").split()),
        False,
    )
    assert "nothing has happened yet" in call(*command, "--dry-run").err
    assert call(*command).code == 2  # no reason
    done = json.loads(call(*command, "--reason", "disk", "--json").out)
    assert (done["done"], done["objects"]) == (True, told["objects"])
    assert "freed 0 objects" in call(*command, "--reason", "disk", "--yes").err


def test_a_replay_says_what_is_missing_and_trains_again_if_it_is_told_to(call):
    wanted = ("run", "replay", "otter", "--from", "2", "--exclude", "c000")
    looked = call(*wanted, "--dry-run")
    assert (looked.code, "not kept: rounds 3–4" in looked.err) == (3, True)
    kept = call(*wanted, "--reason", "poisoned")
    assert (kept.code, "are not kept" in kept.err) == (3, True)
    made = json.loads(call(*wanted, "--train", "--reason", "poisoned", "--json").out)
    assert (made["branch"], made["rounds"], made["done"]) == ("otter/replay-2-1", [3, 4], True)
    assert call("run", "replay", "otter", "--from", "2", "--exclude", "c0000").code == 2


@pytest.fixture(scope="module")
def served(folder, interpreters):
    """The lab, held by a service in a process of its own until these tests end."""
    with interpreters.start(FLNB, "coordinator", "serve", folder, "--json") as process:
        yield json.loads(process.stdout.readline())["address"]
        process.terminate()
        process.wait()


def test_a_service_that_holds_the_lab_moves_the_head_itself(call, served, folder):
    call("ckpt", "alias", "otter", "good", "2")
    back = ("run", "rollback", "otter", "--to", "2", "--reason", "served", "--json")
    done = call(*back)
    assert (done.code, done.err) == (0, "")
    made = json.loads(call("run", "branch", "otter", "served", "--from", "2", "--json").out)
    assert (made["branch"], made["at"]) == ("otter/served", 2)
    last = library.open(folder).store.state.operations()[-2:]
    assert [(one.verb, one.actor.startswith("local-")) for one in last] == [
        ("rollback", True),
        ("branch", True),
    ]


def test_a_pass_is_enough_from_elsewhere(flnb, served, folder, tmp_path, monkeypatch):
    give = ("token", "dr-lee", "--role", "operator", "--lab", str(folder))
    (tmp_path / "pass.txt").write_text(flnb(*give).out)
    monkeypatch.chdir(tmp_path)  # there is no lab here
    there = ("--at", "pass.txt")
    assert "main gen 1" in flnb("ckpt", "list", "otter", *there).out
    assert "relative_l2" in flnb("ckpt", "diff", "otter", "2", "@head", *there).out
    flnb("ckpt", "export", "otter", "2", "-o", "m.safetensors", *there)
    assert (tmp_path / "m.safetensors").stat().st_size > 2000
    refused = flnb("ckpt", "alias", "otter", "x", "2", "--if", "accuracy > 0.999", *there)
    assert (refused.code, "accuracy > 0.999 does not hold" in refused.err) == (3, True)
    assert flnb("run", "branch", "otter", "far", "--from", "7", *there).code == 2


def test_a_run_starts_from_a_checkpoint_of_another(flnb, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "lab")
    lab = ("--lab", str(tmp_path / "lab"))
    text = "task: {use: 'flnb.tasks:digits', with: {clients: 4}}\nsimulate: {workers: 0}\n"
    (tmp_path / "plan.yaml").write_text(f"{text}plan: {{rounds: 1, invite: 4}}\nname: heron\n")
    command = ("run", str(tmp_path / "plan.yaml"), *lab, "--from")
    for mistake in ("otter@nobody", "nofile"):
        refused = flnb(*command, mistake)
        assert (refused.code, "starting" in refused.err) == (2, False)
    assert "is no file of tensors" in flnb(*command, str(tmp_path / "plan.yaml")).err
    assert flnb(*command, "otter@best").code == 0
    assert "starts from round" in flnb("ckpt", "list", "heron", *lab).out
    taken = flnb(*command[:-1])
    assert (taken.code, "starting" in taken.err) == (2, False)
    assert taken.err.endswith(f"flnb runs show heron {' '.join(lab)} is finished\n")
    assert json.loads(flnb("verify", *lab, "--json").out)["problems"] == []
