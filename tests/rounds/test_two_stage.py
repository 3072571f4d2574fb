"""A toy secure sum through the machine: stage "share", then stage "reveal".

Every client hides its number behind a mask and deals shares of the mask to its cohort (Shamir,
"How to Share a Secret", CACM 1979). Shares of a sum are sums of shares, so those who are left at
the second stage open the mask of the *sum* of the first, also for clients that are gone.
"""

from random import Random

import pytest

from flnb.core.messages import Outcome
from flnb.core.view import Status
from flnb.rounds import (
    Accept,
    Assign,
    Close,
    Closed,
    Draw,
    Drawn,
    Fail,
    Refuse,
    ResumeAsked,
    Stage,
    Synchronous,
    TimePassed,
    start,
    step,
)
from tests.rounds.words import answer

PRIME = 2_147_483_647
NUMBERS = [3, 14, 15, 92, 65, 35]
NEED_SHARE, NEED_REVEAL = 4, 3
STAGES = (Stage("share", NEED_SHARE), Stage("reveal", NEED_REVEAL, folds=False))
PARTICIPANTS = list(range(len(NUMBERS)))


class ToyFederation:
    """Clients and a server that carry out the machine's orders until it has none."""

    def __init__(self, *, lost=None, seed=0, **rule):
        random = Random(seed)
        # Polynomials of degree NEED_REVEAL - 1; the constant term is the mask.
        self.polynomials = [
            [random.randrange(PRIME) for _ in range(NEED_REVEAL)] for _ in PARTICIPANTS
        ]
        self.random, self.lost = random, lost or {}
        self.state, orders = start(stages=STAGES, rule=Synchronous(None, **rule), rounds=1)
        self.orders, self.total = [], None
        self.drive(orders)

    def drive(self, orders):
        while orders:
            self.orders += orders
            facts = [fact for order in orders for fact in self.carry_out(order)]
            self.state, orders = step(self.state, facts)

    def carry_out(self, order):
        match order:
            case Draw():
                self.masked, self.revealed = {}, {}
                return [Drawn(tuple("abcdef"))]
            case Assign(stage=0):
                return self.answers(order, self.hide)
            case Assign(stage=1):
                self.folded = sorted(self.masked)
                return self.answers(order, self.reveal)
            case Accept(rows=rows):
                self.masked.update((row, self.hide(row)) for row in rows.tolist())
            case Close(round=number):
                self.total = self.unmask()
                return [Closed(number)]
        return []

    def answers(self, order, payload):
        rows = self.random.sample(order.rows.tolist(), len(order.rows))
        stage = STAGES[order.stage].name
        lost = [row for row in rows if self.lost.get(row) == stage]
        here = [row for row in rows if row not in lost]
        if order.stage == 1:
            self.revealed = {row: payload(row) for row in here}
        return [answer([row], stage=order.stage, wave=order.wave) for row in here] + [
            answer([row], Outcome.LOST, stage=order.stage, wave=order.wave) for row in lost
        ]

    def hide(self, row):
        return (NUMBERS[row] + self.polynomials[row][0]) % PRIME

    def reveal(self, row):
        return sum(share(self.polynomials[other], row + 1) for other in self.folded) % PRIME

    def unmask(self):
        (wave,) = self.state.waves.values()
        rows = wave.outcomes.where(Outcome.ACCEPTED).tolist()[:NEED_REVEAL]
        mask = at_zero({row + 1: self.revealed[row] for row in rows})
        return (sum(self.masked.values()) - mask) % PRIME

    def of(self, kind):
        return [order for order in self.orders if isinstance(order, kind)]


def share(polynomial, point):
    return sum(factor * point**power for power, factor in enumerate(polynomial)) % PRIME


def at_zero(values):
    total = 0
    for point, value in values.items():
        for other in values:
            if other != point:
                value = value * other * pow(other - point, -1, PRIME) % PRIME
        total += value
    return total % PRIME


def test_the_sum_is_opened_and_no_number_is():
    toy = ToyFederation()
    assert toy.total == sum(NUMBERS)
    assert not set(toy.masked.values()) & set(NUMBERS)
    assert [order.rows.tolist() for order in toy.of(Assign)] == [PARTICIPANTS, PARTICIPANTS]
    assert toy.state.status is Status.FINISHED


@pytest.mark.parametrize("lost", PARTICIPANTS)
def test_a_client_lost_while_sharing_is_not_in_the_sum(lost):
    toy = ToyFederation(lost={lost: "share"}, seed=lost)
    assert toy.total == sum(NUMBERS) - NUMBERS[lost]
    survivors = [row for row in PARTICIPANTS if row != lost]
    assert toy.of(Assign)[1].rows.tolist() == survivors


@pytest.mark.parametrize("lost", PARTICIPANTS)
def test_a_client_lost_between_the_stages_stays_in_the_sum(lost):
    toy = ToyFederation(lost={lost: "reveal"}, seed=lost)
    assert toy.total == sum(NUMBERS)
    assert lost not in toy.revealed


def test_one_lost_at_each_stage_is_survived():
    toy = ToyFederation(lost={0: "share", 3: "share", 5: "reveal"})
    assert toy.total == sum(NUMBERS) - NUMBERS[0] - NUMBERS[3]
    assert toy.state.version == 1


def test_one_lost_too_many_while_sharing_opens_nothing():
    toy = ToyFederation(lost={0: "share", 1: "share", 2: "share"})
    (fail,) = toy.of(Fail)
    assert (fail.stage, fail.got, fail.need) == ("share", 3, NEED_SHARE)
    assert len(toy.of(Assign)) == 1
    assert toy.total is None


def test_one_lost_too_many_while_revealing_opens_nothing():
    toy = ToyFederation(lost={0: "share", 1: "reveal", 2: "reveal", 3: "reveal"})
    (fail,) = toy.of(Fail)
    assert (fail.stage, fail.got, fail.need) == ("reveal", 2, NEED_REVEAL)
    assert fail.outcomes["lost"] == 4
    assert (toy.total, toy.state.version, toy.of(Close)) == (None, 0, [])


def test_a_failed_attempt_is_done_again_from_the_first_stage():
    toy = ToyFederation(lost={1: "share", 2: "share", 4: "share"})
    toy.lost = {}
    toy.state, orders = step(toy.state, [ResumeAsked()])
    toy.drive(orders)
    assert [draw.attempt for draw in toy.of(Draw)] == [0, 1]
    assert toy.total == sum(NUMBERS)


def test_each_row_is_folded_once_and_in_one_stage():
    toy = ToyFederation(lost={2: "reveal"})
    assert sorted(row for order in toy.of(Accept) for row in order.rows.tolist()) == PARTICIPANTS
    assert toy.orders.index(toy.of(Accept)[-1]) < toy.orders.index(toy.of(Assign)[1])


@pytest.mark.parametrize("seed", range(5))
def test_a_quorum_at_each_stage_is_enough(seed):
    toy = ToyFederation(seed=seed, on_quorum=True)
    assert len(toy.of(Assign)[1].rows) == NEED_SHARE
    assert toy.total == sum(NUMBERS[row] for row in toy.masked)
    assert {order.reason for order in toy.of(Refuse)} <= {"late: of stage 0, now 1"} | {
        "late: the stage has closed",
        "the run is finished",
    }


def opened(stages=STAGES, **rule):
    state, _ = start(stages=stages, rule=Synchronous(None, **rule), rounds=1)
    return step(state, [Drawn(tuple("abcdef"))])[0]


def test_a_share_that_comes_after_its_stage_is_refused_and_not_folded():
    facts = [answer([0, 1, 2, 3]), TimePassed(60, stage=0), answer([4])]
    _, orders = step(opened(deadline_s=60), facts)
    assert [order.rows.tolist() for order in orders if isinstance(order, Accept)] == [[0, 1, 2, 3]]
    assert orders[-1].reason == "late: of stage 0, now 1"


def test_a_client_that_missed_a_stage_is_not_let_into_the_next():
    facts = [answer([0, 1, 2, 3]), TimePassed(60), answer([4, 0], stage=1)]
    state, orders = step(opened(deadline_s=60), facts)
    assert (orders[-1].rows.tolist(), orders[-1].reason) == ([4], "late: the stage has closed")
    assert state.waves[0].accepted == 1


def test_the_clock_of_one_stage_does_not_end_the_next():
    facts = [answer(PARTICIPANTS), TimePassed(61, stage=0)]
    state, orders = step(opened(deadline_s=60), facts)
    assert isinstance(orders[-1], Assign)
    assert (state.waves[0].stage, state.waves[0].pending) == (1, 6)


def test_survivors_too_few_for_the_next_stage_are_not_troubled():
    stages = (Stage("share", 2), Stage("reveal", 5, folds=False))
    facts = [answer([4, 5], Outcome.LOST), answer([0, 1, 2, 3])]
    _, orders = step(opened(stages), facts)
    (fail,) = (order for order in orders if isinstance(order, Fail))
    assert (fail.stage, fail.got, fail.need) == ("reveal", 0, 5)
    assert not any(isinstance(order, Assign) for order in orders)
