"""Who is let in, for how long, and who is not."""

import threading
import time
from datetime import timedelta

import pytest

import flnb
from flnb.coordinator.granting import written_token
from flnb.core.errors import AccessRefusedError, UnreachableError
from flnb.dashboards import access
from flnb.dashboards.access import Doorman, Person, named_in
from flnb.dashboards.targets import PassTarget
from tests.dashboards.test_feed import until


class Clock:
    now_s = 0.0

    def monotonic_s(self):
        return self.now_s


ANA = Person("ana", "operator", "token-of-ana")


class Known:
    """Tokens that are good now."""

    def __init__(self):
        self.good, self.answers, self.asked = {ANA.token: ANA}, True, 0
        self.goes_on = threading.Event()
        self.goes_on.set()

    def __call__(self, token):
        self.asked += 1
        self.goes_on.wait(2)
        if not self.answers:
            raise UnreachableError("nobody answers")
        if token not in self.good:
            raise AccessRefusedError("no good")
        return self.good[token]


@pytest.fixture
def known():
    return Known()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def doorman(known, clock):
    return Doorman(known, lambda: ANA, clock=clock)


def test_a_ticket_lets_in_once(doorman):
    ticket = doorman.ticket()
    assert doorman.person(doorman.admit_by_ticket(ticket)) == ANA
    with pytest.raises(AccessRefusedError, match="used already"):
        doorman.admit_by_ticket(ticket)


def test_a_ticket_is_too_old_after_ten_minutes(doorman, clock):
    ticket = doorman.ticket()
    clock.now_s = 600.0
    with pytest.raises(AccessRefusedError):
        doorman.admit_by_ticket(ticket)


def test_a_made_up_ticket_and_a_made_up_cookie_let_nobody_in(doorman):
    with pytest.raises(AccessRefusedError):
        doorman.admit_by_ticket("made-up")
    assert doorman.person("made-up") is None


def test_a_token_that_is_taken_back_ends_the_stay_within_seconds(doorman, known, clock):
    stay = doorman.admit(ANA.token)
    known.good.clear()
    assert doorman.person(stay) == ANA  # it was looked up just now
    clock.now_s = 2.0
    assert doorman.person(stay) is None
    known.good[ANA.token] = ANA
    assert doorman.person(stay) is None  # that stay is over


def test_who_is_in_stays_in_while_nobody_can_tell(doorman, known, clock):
    stay = doorman.admit(ANA.token)
    known.answers, clock.now_s = False, 100.0
    assert doorman.person(stay) == ANA


def test_a_token_is_looked_up_at_most_every_two_seconds(doorman, known, clock):
    stay = doorman.admit(ANA.token)
    for _ in range(50):
        doorman.person(stay)
    assert known.asked == 1


def test_a_coordinator_that_hangs_holds_up_no_page(doorman, known, clock, monkeypatch):
    monkeypatch.setattr(access, "_PATIENCE_S", 0.05)
    stays = [doorman.admit(ANA.token) for _ in range(20)]
    known.goes_on.clear()
    clock.now_s, began_s = 2.0, time.monotonic()
    assert [doorman.person(stay) for stay in stays] == [ANA] * 20
    assert time.monotonic() - began_s < 0.5
    known.good.clear()
    known.goes_on.set()
    until(lambda: not any(map(doorman.person, stays)), "what is answered at last counts")


def test_a_changed_role_counts_from_the_next_look_on(doorman, known, clock):
    stay = doorman.admit(ANA.token)
    known.good[ANA.token], clock.now_s = Person("ana", "viewer", ANA.token), 3.0
    assert doorman.person(stay).role == "viewer"


def test_a_stay_ends_after_twelve_hours_and_when_somebody_leaves(doorman, clock):
    stay, other = doorman.admit(ANA.token), doorman.admit(ANA.token)
    doorman.leave(other)
    assert doorman.person(other) is None
    clock.now_s = 12 * 3600.0
    assert doorman.person(stay) is None


def test_a_person_is_shown_without_the_token():
    assert "token-of-ana" not in repr(ANA)


def test_a_lab_knows_its_own_tokens_and_no_others(target, lab):
    token, _ = written_token(lab.store, "vera", "viewer", timedelta(hours=1))
    person = target.person(token)
    assert (person.name, person.role, named_in(token)) == ("vera", "viewer", "vera")
    with pytest.raises(AccessRefusedError):
        target.person(token[:-4] + "AAAA")


def test_a_revoked_token_and_one_of_a_client_let_nobody_look(target, lab):
    token, _ = written_token(lab.store, "mal", "viewer", timedelta(hours=1))
    lab.store.state.revoke_tokens("mal")
    with pytest.raises(AccessRefusedError, match="revoked"):
        target.person(token)
    trains, _ = written_token(lab.store, "clinic", "client", timedelta(hours=1))
    with pytest.raises(AccessRefusedError, match="train"):
        target.person(trains)


def test_whoever_reads_the_lab_is_its_admin(target):
    assert target.own().role == "admin"


def test_a_pass_that_is_taken_back_lets_nobody_look_any_more(tmp_path):
    with flnb.Coordinator(flnb.open(tmp_path / "lab")) as coordinator:
        target = PassTarget(coordinator.token("vera").text)
        try:
            vera = target.own()
            assert (vera.name, vera.role) == ("vera", "viewer")
            with pytest.raises(AccessRefusedError, match="operator"):
                target.open("operator")
            coordinator.revoke_token("vera")
            with pytest.raises(AccessRefusedError):
                until(lambda: target.person(vera.token) is None, "the token is refused")
        finally:
            target.close()
