"""A toy buffered strategy through the machine, beside a plain loop.

The model is one number. An update pulls it to the client's own number from wherever the client
started; a stale one weighs 1 / sqrt(1 + staleness), as in FedBuff (Nguyen et al. 2022, §5).
"""

from random import Random

import pytest

from flnb.core.messages import Outcome
from flnb.core.view import Status
from flnb.rounds import (
    Accept,
    Assign,
    Buffered,
    Close,
    Closed,
    Draw,
    Drawn,
    Finish,
    Moved,
    Pause,
    PauseAsked,
    Refuse,
    ResumeAsked,
    Stage,
    room,
    start,
    step,
)
from tests.rounds.words import answer


def pulled(client, model):
    return 0.1 * (client % 17 - model)


def stepped(model, buffer, version):
    weights = [(1 + version - base) ** -0.5 for _, base, _ in buffer]
    deltas = [delta for _, _, delta in buffer]
    return model + sum(w * d for w, d in zip(weights, deltas, strict=True)) / sum(weights)


class ToyFederation:
    """Carries out the machine's orders; clients are numbered in the order of their invitation."""

    def __init__(self, rule, *, versions, seed=0):
        self.random, self.invited, self.models = Random(seed), 0, [0.0]
        self.working, self.buffer, self.refused = [], [], []
        self.state, orders = start(stages=[Stage("train", 1)], rule=rule, rounds=versions)
        self.drive(orders)

    def drive(self, orders):
        while orders:
            facts = [fact for order in orders if (fact := self.carry_out(order))]
            self.state, orders = step(self.state, facts)

    def tell(self, *facts):
        self.state, orders = step(self.state, facts)
        self.drive(orders)
        return orders

    def carry_out(self, order):
        match order:
            case Draw(n=n):
                self.invited += n
                return Drawn(tuple(str(c) for c in range(self.invited - n, self.invited)))
            case Assign(wave=wave, rows=rows):
                for row in rows.tolist():
                    client, base = int(self.state.waves[wave].clients[row]), self.state.version
                    self.working.append((wave, row, client, base))
            case Accept():
                assert order.base == self.arrived[1]
                self.buffer.append(self.arrived)
            case Refuse():
                self.refused.append(self.arrived)
            case Close(round=number):
                self.models.append(stepped(self.models[-1], self.buffer, number - 1))
                self.buffer = []
                return Closed(number)
        return None

    def arrive(self):
        wave, row, client, base = self.working.pop(self.random.randrange(len(self.working)))
        self.arrived = (client, base, pulled(client, self.models[base]))
        return self.tell(answer([row], wave=wave))

    def finish(self):
        while self.state.status is Status.RUNNING:
            self.arrive()
        return self


def by_hand(rule, *, versions, seed=0):
    """The same without waves, rows, facts or orders."""
    random, models, buffer, refused = Random(seed), [0.0], [], 0
    working = [(client, 0) for client in range(rule.concurrency)]
    invited = rule.concurrency
    while len(models) <= versions:
        client, base = working.pop(random.randrange(len(working)))
        version = len(models) - 1
        if version - base > rule.max_staleness:
            refused += 1
        else:
            buffer.append((client, base, pulled(client, models[base])))
        if len(buffer) == rule.size:
            models.append(stepped(models[-1], buffer, version))
            buffer = []
        working.append((invited, len(models) - 1))
        invited += 1
    return models, refused


def opened(rule, clients="abcd"):
    state, _ = start(stages=[Stage("train", 1)], rule=rule, rounds=5)
    return step(state, [Drawn(tuple(clients))])[0]


def kinds(orders):
    return [type(order).__name__ for order in orders]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rule", [Buffered(3, 10, 2), Buffered(1, 4, 0), Buffered(10, 5, 1)])
def test_a_buffered_run_is_the_plain_loop(rule, seed):
    toy = ToyFederation(rule, versions=60, seed=seed).finish()
    models, refused = by_hand(rule, versions=60, seed=seed)
    assert toy.models == models
    assert len(toy.refused) == refused
    assert (toy.state.version, toy.state.status) == (60, Status.FINISHED)


def test_stale_updates_occur_and_are_refused():
    toy = ToyFederation(Buffered(3, 20, 1), versions=60).finish()
    staleness = {base for _, base, _ in toy.refused}
    assert len(toy.refused) > 10
    assert len(staleness) > 5


def test_the_bound_itself_is_not_too_stale():
    state = opened(Buffered(1, 4, 1))
    state, _ = step(state, [answer([0]), Closed(1)])
    _, orders = step(state, [answer([1]), Closed(2), answer([2])])
    assert kinds(orders) == ["Accept", "Close", "Refuse"]
    assert orders[-1].reason == "stale: from version 0, now 2, at most 1 behind"


def test_as_many_clients_as_wanted_are_busy_after_every_answer():
    toy = ToyFederation(Buffered(3, 10, 2), versions=30)
    while toy.state.status is Status.RUNNING:
        assert toy.state.busy == len(toy.working) == 10
        assert sum(wave.pending for wave in toy.state.waves.values()) == 10
        assert all(wave.pending for wave in toy.state.waves.values())
        toy.arrive()


def test_clients_who_answer_during_a_draw_are_replaced_right_after_it():
    state, orders = step(opened(Buffered(9, 4, 0)), [answer([0]), answer([1, 2])])
    assert [order.n for order in orders if isinstance(order, Draw)] == [1]
    _, orders = step(state, [Drawn(("e",))])
    assert [order.n for order in orders if isinstance(order, Draw)] == [2]


def test_a_sampler_that_has_no_more_is_asked_again_at_the_next_answer():
    state, orders = step(
        start(stages=[Stage("train", 1)], rule=Buffered(9, 4, 0), rounds=1)[0], [Drawn(("a", "b"))]
    )
    assert kinds(orders) == ["Assign"]
    state, orders = step(state, [answer([0])])
    assert orders[-1].n == 3
    assert step(state, [Drawn(())])[1] == ()


def test_a_run_with_nobody_to_invite_rests_and_can_be_resumed():
    state, _ = start(stages=[Stage("train", 1)], rule=Buffered(2, 2, 0), rounds=1)
    state, orders = step(state, [Drawn(())])
    assert orders == (Pause("no client to invite"),)
    _, orders = step(state, [ResumeAsked()])
    assert orders == (Draw(1, 0, 1, 2),)


def test_updates_that_come_while_a_version_is_made_go_into_the_next():
    state, orders = step(opened(Buffered(2, 4, 1)), [answer([0, 1]), answer([2])])
    assert kinds(orders) == ["Accept", "Close", "Draw", "Accept"]
    assert state.buffered == 1
    _, orders = step(state, [Closed(1), answer([3])])
    assert kinds(orders) == ["Accept", "Close"]


def test_a_buffer_that_filled_up_while_a_version_was_made_closes_at_once():
    state, _ = step(opened(Buffered(2, 4, 1)), [answer([0, 1]), answer([2, 3])])
    state, orders = step(state, [Closed(1)])
    assert kinds(orders) == ["Close"]
    assert orders[0].round == 2


def test_room_is_what_still_fits_into_the_buffer():
    state = opened(Buffered(3, 4, 1))
    assert room(state) == 3
    assert room(step(state, [answer([0, 1])])[0]) == 1


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.LOST])
def test_clients_without_a_usable_update_are_replaced(outcome):
    state, orders = step(opened(Buffered(2, 4, 1)), [answer([0, 2], outcome=outcome)])
    assert orders == (Draw(1, 0, 1, 2),)
    assert (state.buffered, state.busy) == (0, 2)


@pytest.mark.parametrize("moment", range(0, 40, 3))
def test_a_pause_changes_nothing_but_the_time(moment):
    rule = Buffered(3, 6, 2)
    toy = ToyFederation(rule, versions=20)
    for _ in range(moment):
        toy.arrive()
    assert kinds(toy.tell(PauseAsked())) == ["Pause"]
    toy.tell(ResumeAsked())
    assert toy.finish().models == by_hand(rule, versions=20)[0]


def test_a_resting_run_takes_updates_in_but_starts_nothing():
    state, orders = step(opened(Buffered(2, 4, 1)), [PauseAsked(), answer([0, 1, 2])])
    assert kinds(orders) == ["Pause", "Accept"]
    _, orders = step(state, [ResumeAsked()])
    assert kinds(orders) == ["Close", "Draw"]


def test_a_pause_waits_for_the_version_that_is_being_made():
    state, orders = step(opened(Buffered(2, 4, 1)), [answer([0, 1]), PauseAsked()])
    assert state.status is Status.PAUSING
    state, orders = step(state, [Drawn(("e", "f")), Closed(1)])
    assert kinds(orders) == ["Pause"]
    assert (state.version, state.status, state.busy) == (1, Status.PAUSED, 2)


def test_a_draw_that_comes_while_the_run_rests_is_made_again_later():
    state, orders = step(
        opened(Buffered(9, 4, 1)), [answer([0]), PauseAsked(), Drawn(("e",)), ResumeAsked()]
    )
    assert kinds(orders) == ["Accept", "Draw", "Pause", "Draw"]
    assert step(state, [Drawn(("e",))])[0].busy == 4


def test_a_moved_head_empties_the_buffer():
    state, _ = step(opened(Buffered(3, 4, 1)), [answer([0, 1]), Moved(2, 0)])
    assert (state.buffered, state.busy, dict(state.waves)) == (0, 0, {})
    _, orders = step(state, [ResumeAsked()])
    assert orders == (Draw(1, 0, 1, 4),)


def test_the_last_version_ends_the_run_whoever_is_still_busy():
    state, _ = start(stages=[Stage("train", 1)], rule=Buffered(2, 4, 1), rounds=1)
    state, orders = step(state, [Drawn(tuple("abcd")), answer([0, 1]), Closed(1), answer([2])])
    assert orders[-2] == Finish("done")
    assert orders[-1].reason == "the run is finished"
