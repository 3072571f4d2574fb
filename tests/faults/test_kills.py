"""`kill -9` of the coordinator, or of a client, at each phase of a round; the others stay.

The run ends with the parameters of the simulated engine, no row is missing or there twice, and the
client is itself again. Places are failpoints (`flnb/core/failpoints.py`).
"""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import flnb
from flnb.core.view import Status
from tests.e2e.remote_client import plan, task
from tests.e2e.victims import ROOT, places
from tests.faults.lanes import NAMES, SCRIPT, miscounted, simulated_sha
from tests.faults.service import NAME

pytestmark = pytest.mark.timeout(900)

SERVICE = Path(__file__).parent / "service.py"
ROUNDS = 3
SMALL, LARGE = "softmax", "wide"
"""A model that goes inline with its notes, and one of several chunks."""

OF_COORDINATOR = {
    SMALL: ("run-created", "assigned", "work-opened", "offer-heard", "update-counted", "answered"),
    LARGE: (
        *("work-opened", "offer-heard", "chunk-taken", "body-whole", "body-synced"),
        *("update-counted", "answered", "before-snapshot", "after-snapshot", "in-closing"),
        *("after-closing", "before-settled", "after-settled"),
    ),
}
OF_CLIENT = {
    SMALL: (
        *("client-assigned", "client-training", "client-trained", "client-signed"),
        *("client-offered", "client-received"),
    ),
    LARGE: (
        *("client-assigned", "client-fetching", "client-training", "client-trained"),
        *("client-signed", "client-offered", "client-sending", "client-sent", "client-received"),
    ),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What each model becomes with simulated clients."""
    folder = tmp_path_factory.mktemp("simulated")
    return {model: simulated_sha(folder / model, model, ROUNDS) for model in (SMALL, LARGE)}


def invited(lab):
    """A lab whose clients have not joined yet: their invites."""
    with flnb.Coordinator(lab) as coordinator:
        return {name: coordinator.invite(name).text for name in NAMES}


def begin_client(nursery, folder, model, invites, failpoint="", delay_s=0.02):
    arguments = (SCRIPT, folder, model, str(len(NAMES)), str(delay_s), *invites)
    return nursery.begin("script", *arguments, failpoint=failpoint)


@contextmanager
def ended(*victims):
    """Clients that are ended with the test, whatever happens."""
    try:
        yield
    finally:
        for victim in victims:
            victim.kill()


def complaint(lab, run, expected):
    """What is wrong with a run that should have ended well, in words."""
    if run.status is not Status.FINISHED:
        return f"it is {run.status}: {run.view.error}"
    if run.parameters_sha256 != expected:
        return "other parameters"
    if attempts := lab.store.state.attempts(run.id):
        return f"attempts failed: {attempts}"
    return miscounted(lab, run, ROUNDS)


def kill_coordinator(nursery, folder, model, failpoint, expected):
    """Kill it there, let another go on in its place: what is wrong at the end."""
    folder.mkdir()
    invites = invited(folder / "lab")
    arguments = (SERVICE, folder / "lab", model, str(ROUNDS), str(len(NAMES)))
    service = nursery.begin("script", *arguments, failpoint=failpoint)
    clients = begin_client(nursery, folder, model, invites.values())
    with ended(clients):
        service.stopped()
        service.kill()
        nursery.begin("script", *arguments).wait()
    lab = flnb.open(folder / "lab")
    return complaint(lab, lab.run(NAME), expected)


def kill_client(nursery, folder, model, failpoint, expected):
    """Kill one of two there and begin it again: what is wrong at the end."""
    folder.mkdir()
    with flnb.Coordinator(folder / "lab") as coordinator:
        first, second = (coordinator.invite(name).text for name in NAMES)
        stays = begin_client(nursery, folder, model, [first])
        victim = begin_client(nursery, folder, model, [second], failpoint)
        run = coordinator.run(plan(rounds=ROUNDS), task(model, len(NAMES)))
        victim.stopped()
        victim.kill()
        again = begin_client(nursery, folder, model, [second])
        with ended(stays, again):
            run.wait(90)
            assert [row.client for row in coordinator.clients] == list(NAMES)
            coordinator.flush()
            return complaint(coordinator.lab, run, expected)


def check(kill, nursery, folder, cases, expected):
    """Kill at several places, two at a time, and say what went wrong at each."""

    def at(case):
        model, place = case
        name = f"{model}-{place}".replace(":", "-")
        return kill(nursery, folder / name, model, place, expected[model])

    with ThreadPoolExecutor(2) as pool:
        wrong = dict(zip(cases, pool.map(at, cases), strict=True))
    assert {case: words for case, words in wrong.items() if words} == {}


def each(phases):
    """Every place, the first time and in a later round."""
    return [
        (model, f"{place}{nth}")
        for model, names in phases.items()
        for place in names
        for nth in (("",) if place == "run-created" else ("", ":3"))
    ]


def test_every_place_of_the_page_is_one_where_somebody_is_killed():
    page = (ROOT / "design" / "004-remote-clients.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    killed = {
        place
        for phases in (OF_COORDINATOR, OF_CLIENT)
        for names in phases.values()
        for place in names
    }
    elsewhere = {"body-lost", "client-remembered"}  # below, and in test_memory.py
    elsewhere |= {"client-key-made", "key-bound", "client-key-bound"}  # in test_rotation.py
    assert listed <= killed | elsewhere
    assert {place for place in killed if place.startswith("client-")} <= listed


def test_a_coordinator_killed_in_three_phases_goes_on_with_the_same_bits(
    nursery, tmp_path, expected
):
    cases = [(LARGE, "chunk-taken:7"), (LARGE, "body-synced:3"), (SMALL, "answered:2")]
    check(kill_coordinator, nursery, tmp_path, cases, expected)


@pytest.mark.long
def test_a_coordinator_killed_in_each_phase_goes_on_with_the_same_bits(nursery, tmp_path, expected):
    check(kill_coordinator, nursery, tmp_path, each(OF_COORDINATOR), expected)


def test_a_client_killed_in_three_phases_comes_back_and_the_bits_stay(nursery, tmp_path, expected):
    cases = [(LARGE, "client-fetching:3"), (SMALL, "client-signed:2"), (LARGE, "client-sent")]
    check(kill_client, nursery, tmp_path, cases, expected)


@pytest.mark.long
def test_a_client_killed_in_each_phase_comes_back_and_the_bits_stay(nursery, tmp_path, expected):
    check(kill_client, nursery, tmp_path, each(OF_CLIENT), expected)


def stopped_and_killed(nursery, arguments, failpoint):
    service = nursery.begin("script", *arguments, failpoint=failpoint)
    service.stopped()
    service.kill()


def journaled(lab, kind):
    """Steps of a kind in the journal of the open round."""
    opened = flnb.open(lab)
    steps = opened.store.state.journal_of_open_round(opened.run(NAME).id)
    return [step for step in steps if step.kind == kind]


def test_an_update_whose_body_is_lost_is_journaled_and_asked_for_again(nursery, tmp_path, expected):
    """One of a single chunk stays in memory, for its holder keeps it."""
    lab = tmp_path / "lab"
    arguments = (SERVICE, lab, SMALL, str(ROUNDS), str(len(NAMES)))
    with ended(begin_client(nursery, tmp_path, SMALL, invited(lab).values())):
        stopped_and_killed(nursery, arguments, "answered:3")
        answers = journaled(lab, "answered")
        stopped_and_killed(nursery, arguments, "body-lost")
        (lost,) = journaled(lab, "body-lost")
        nursery.begin("script", *arguments).wait()
    accepted = {
        NAMES[row] for step in answers for row in step.payload["rows"] if step.round == lost.round
    }
    assert set(lost.payload["clients"]) == accepted
    assert complaint(flnb.open(lab), flnb.open(lab).run(NAME), expected[SMALL]) == ""


def test_no_body_is_lost_that_is_in_the_spool(nursery, tmp_path, expected):
    lab, log = tmp_path / "lab", tmp_path / "log"
    arguments = (SERVICE, lab, LARGE, str(ROUNDS), str(len(NAMES)))
    with ended(begin_client(nursery, tmp_path, LARGE, invited(lab).values())):
        stopped_and_killed(nursery, arguments, "answered:3")
        nursery.begin("script", *arguments, log=log).wait()
    assert "answered" in places(log)
    assert "body-lost" not in places(log)
    assert complaint(flnb.open(lab), flnb.open(lab).run(NAME), expected[LARGE]) == ""
