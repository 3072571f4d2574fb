"""`kill -9` at any moment, then resume: the run ends as if nothing had happened.

What is compared with the undisturbed run: final parameters and every commit with its optimiser
state, bit for bit; the tables row by row, without clocks and without the names of commits; failed
attempts; and that the journal is empty. `design/003-crash.md` says what is promised.
"""

import os
import random
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

import flnb
from tests.e2e.victims import (
    ROOT,
    await_,
    differences,
    outcome,
    places,
)

pytestmark = pytest.mark.timeout(600)  # many processes a test, on machines that may be busy

EVERY = (1, 2, "auto")
LISTED = r"^\| `([a-z-]+)` \|"
"""A failpoint in the table of a page."""


def kill_at(nursery, lab, failpoint, *arguments):
    """Run a command of the subject up to a failpoint, and kill it there."""
    victim = nursery.begin(*arguments, lab, failpoint=failpoint)
    victim.stopped()
    victim.kill()


def kill_start(nursery, folder, failpoint, every):
    if failpoint.startswith("lab-"):  # before there is a run, which knows how often to commit
        every = 1
    lab = folder / f"{failpoint.replace(':', '-')}-{every}"
    kill_at(nursery, lab, failpoint, "start", f"every={every}")
    return lab, every


def two_at_a_time(work, *columns):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, *columns))


def resumed(nursery, killed):
    """Resume labs to their end, half of them in one process."""
    halves = [[lab for lab, _ in killed[start::2]] for start in (0, 1)]
    two_at_a_time(lambda labs: labs and nursery.run("resume", *labs), halves)
    return killed


def taken_back(lab):
    """What whoever follows the rounds was told to forget."""
    return [str(one) for one in flnb.open(lab).store.state.forgotten()]


def what_differs(undisturbed, labs):
    found = {
        lab.name: differences(lab, undisturbed, every) + taken_back(lab) for lab, every in labs
    }
    return {name: differs for name, differs in found.items() if differs}


def occurrences(counts, place):
    """The first time that a run reaches a place, and one in the middle."""
    if place in {"in-projection", "after-projection"}:
        return [1]  # how often depends on how quick the machine is
    share = 2 if place.startswith("worker-") else 1  # two workers, each counts its own
    return sorted({1, max(1, (counts[place] // share + 1) // 2)})


def test_killed_at_each_failpoint_it_ends_as_if_nothing_had_happened(
    nursery, undisturbed, tmp_path
):
    counts = undisturbed["places"]
    cases = [
        (f"{place}:{occurrences(counts, place)[-(number % 2)]}", EVERY[number % 3])
        for number, place in enumerate(sorted(counts))
    ]
    killed = two_at_a_time(lambda case: kill_start(nursery, tmp_path, *case), cases)
    assert what_differs(undisturbed, resumed(nursery, killed)) == {}


@pytest.mark.long
@pytest.mark.parametrize("every", EVERY)
def test_killed_at_each_failpoint_early_and_late(nursery, undisturbed, tmp_path, every):
    counts = undisturbed["places"]
    points = [f"{place}:{n}" for place in counts for n in occurrences(counts, place)]
    killed = two_at_a_time(lambda point: kill_start(nursery, tmp_path, point, every), points)
    assert what_differs(undisturbed, resumed(nursery, killed)) == {}


def kill_at_random(nursery, undisturbed, folder, seed):
    """Kill between two failpoints, whatever happens there."""
    chance = random.Random(seed)
    lab, log, every = folder / f"random-{seed}", folder / f"log-{seed}", chance.choice(EVERY)
    reached = chance.randrange(undisturbed["places"].total())
    victim = nursery.begin("start", f"every={every}", lab, log=log)
    await_(lambda: victim.ended() or places(log).total() >= reached, "it does not go on")
    time.sleep(chance.uniform(0.0, 0.03))
    victim.kill()
    return lab, every


def check_random(nursery, undisturbed, folder, seeds):
    killed = two_at_a_time(lambda seed: kill_at_random(nursery, undisturbed, folder, seed), seeds)
    assert what_differs(undisturbed, resumed(nursery, killed)) == {}


def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(
    nursery, undisturbed, tmp_path
):
    check_random(nursery, undisturbed, tmp_path, range(3))


@pytest.mark.long
def test_killed_at_twenty_more_random_moments(nursery, undisturbed, tmp_path):
    check_random(nursery, undisturbed, tmp_path, range(100, 120))


def test_killed_twice_in_a_row_while_it_is_resumed(nursery, undisturbed, tmp_path):
    lab, _ = kill_start(nursery, tmp_path, "after-snapshot:3", 1)
    kill_at(nursery, lab, "branch-reset", "resume")
    kill_at(nursery, lab, "chunks-written", "resume")
    kill_at(nursery, lab, "after-closing:2", "resume")
    assert what_differs(undisturbed, resumed(nursery, [(lab, 1)])) == {}


def lose(nursery, folder, failpoint, *, and_its_fork_server=False):
    """Kill one process of a run where it stops; whoever stops there later goes on."""
    lab = folder / failpoint.replace(":", "-")
    victim = nursery.begin("start", lab, failpoint=failpoint)
    stopped = victim.stopped()
    if and_its_fork_server:
        os.kill(psutil.Process(stopped).ppid(), signal.SIGKILL)
    os.kill(stopped, signal.SIGKILL)
    victim.go_on()
    return lab, 1


def test_a_worker_a_writer_or_a_fork_server_that_dies_changes_nothing(
    nursery, undisturbed, tmp_path
):
    labs = two_at_a_time(
        lambda failpoint, both: lose(nursery, tmp_path, failpoint, and_its_fork_server=both),
        ["worker-ordered:2", "worker-trained:3", "chunks-written:2", "writer-after-commit:3"],
        [False, True, False, True],
    )
    assert what_differs(undisturbed, labs) == {}


def test_a_writer_that_outlives_its_coordinator_does_no_harm(nursery, undisturbed, tmp_path):
    lab = tmp_path / "lab"
    victim = nursery.begin("start", lab, failpoint="chunks-written:3")
    writer = victim.stopped()
    os.kill(victim.pid, signal.SIGKILL)
    os.kill(writer, signal.SIGCONT)  # commits, while the next coordinator begins
    assert what_differs(undisturbed, resumed(nursery, [(lab, 1)])) == {}
    victim.wait()


def test_the_tables_are_made_again_from_what_is_durable(nursery, undisturbed, tmp_path):
    lost, _ = kill_start(nursery, tmp_path, "after-closing:4", 1)
    spoilt, _ = kill_start(nursery, tmp_path, "after-closing:5", 1)
    for file in lost.glob("metrics.duckdb*"):
        file.unlink()
    (spoilt / "metrics.duckdb").write_bytes(b"no table" * 4096)
    assert what_differs(undisturbed, resumed(nursery, [(lost, 1), (spoilt, 1)])) == {}
    seen = list(flnb.open(lost).sql("SELECT * FROM updates ORDER BY round, client"))
    assert len(seen) == len(undisturbed["tables"]["updates"]), "a reader makes the same tables"


def test_one_worker_gives_the_same_and_another_seed_does_not(nursery, undisturbed, tmp_path):
    alone, other = tmp_path / "alone", tmp_path / "other"
    nursery.run("start", alone, "workers=1")
    nursery.run("start", other, "seed=8")
    assert differences(alone, undisturbed) == []
    assert outcome(other)["parameters"] != undisturbed["parameters"]


def test_the_command_line_resumes_what_another_process_began(
    nursery, undisturbed, tmp_path, interpreters
):
    lab = tmp_path / "lab"
    kill_at(nursery, lab, "in-closing:2", "start")
    resumed_there = interpreters.flnb(
        "runs", "resume", "crash", "--lab", lab, FLNB_PROGRESS="lines"
    )
    assert "round 5 needs 5 updates" in resumed_there.stderr
    assert what_differs(undisturbed, resumed(nursery, [(lab, 1)])) == {}


def test_rounds_that_other_clients_do_again_have_the_rows_of_those(nursery, tmp_path):
    """They closed and were in no commit; while the coordinator was dead, a client went into quarantine."""
    killed, other = tmp_path / "killed", tmp_path / "other"
    kill_at(nursery, killed, "after-closing:3", "start", "every=4")
    nursery.run("resume", killed, "rests=c005")
    nursery.run("start", other, "rests=c005")
    assert differences(killed, outcome(other), "auto") == []
    assert len(taken_back(killed)) == 1, "once, from where they differ"
    assert flnb.open(killed).verify().problems == ()


SCRIPT = """
import sys
import flnb
from flnb.core.errors import FingerprintError, TaskError
from tests.e2e.crash_subject import NAME, Net, note, plan, task, to_the_end

class Own(Net):
    "A class that no other process can import."

class Other(Net):
    "Another one."

def complaint(kind, **given):
    try:
        lab.resume(NAME, **given)
    except kind as error:
        return str(error)

data = task().data
own, other = (flnb.Task(model=model, data=data) for model in (Own, Other))
with flnb.Coordinator(sys.argv[1]) as coordinator:
    lab = coordinator.lab
    if "start" in sys.argv:
        coordinator.simulate(own, slow="lognormal:0.8", drop=0.25, workers=2)
        run = coordinator.run(plan(), own, name=NAME)
    else:
        assert "was defined in a notebook or script" in complaint(TaskError)
        assert "with another task (code: was" in complaint(FingerprintError, task=other)
        run = lab.resume(NAME, task=own)
    to_the_end(run)
    note(lab)
"""


def test_a_task_of_a_script_is_resumed_with_that_task_and_no_other(nursery, undisturbed, tmp_path):
    lab, script = tmp_path / "lab", tmp_path / "script.py"
    script.write_text(SCRIPT)
    victim = nursery.begin("script", script, lab, "start", failpoint="after-closing:2")
    victim.stopped()
    victim.kill()
    nursery.run("script", script, lab)
    differing = differences(lab, undisturbed)
    assert [each for each in differing if not each.startswith("runs ")] == [], "but for its name"


def test_the_pages_list_every_failpoint_and_no_other():
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "design").glob("*.md"))
    listed = [place for page in pages for place in re.findall(LISTED, page, re.MULTILINE)]
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "flnb").rglob("*.py"))
    placed = [place for text in sources for place in re.findall(r"\breach\(\"([a-z-]+)\"\)", text)]
    assert sorted(listed) == sorted(set(placed))


def test_a_run_reaches_every_failpoint(undisturbed):
    page = (ROOT / "design" / "003-crash.md").read_text(encoding="utf-8")
    assert set(re.findall(LISTED, page, re.MULTILINE)) == set(undisturbed["places"])
