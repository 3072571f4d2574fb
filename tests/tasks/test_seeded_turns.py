"""One generator of each library for the whole process: who seeds them has them for itself."""

import random
import threading

import numpy as np
import pytest
import torch
from numpy.random.mtrand import get_bit_generator
from torch import nn

from flnb.tasks.modules import built, seeded, trial


def draw(seed, inside, done):
    with seeded(seed):
        inside.set()
        done.append(torch.rand(3).tolist())


def draws():
    """One of each generator that a module may draw from."""
    numpys = np.random.rand(), np.random.normal(size=2).sum()  # noqa: NPY002  # as other people's code does
    return [torch.rand(1).item(), random.random(), *numpys]


def test_whatever_generator_a_block_draws_from_is_seeded_and_put_back():
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002  # as other people's code does
    before = draws()
    inside = []
    for seed in (5, 5, 6):
        with seeded(seed):
            inside.append(draws())
            with seeded(7):  # and nobody further in changes what comes next
                draws()
            inside[-1] += draws()
    after = draws()
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002  # as other people's code does
    assert [before, after] == [draws(), draws()]
    assert inside[0] == inside[1]
    assert not set(inside[0]) & set(inside[2])


@pytest.mark.parametrize("seed", [-1, -(2**63), 2**64 - 1])
def test_a_seed_may_be_negative(seed):
    inside = []
    for same in (seed, seed % 2**64):
        with seeded(same):
            inside.append(draws())
    assert inside[0] == inside[1]


def test_generators_are_put_back_when_one_of_them_cannot_be_seeded(monkeypatch):
    def refuse(seed):
        raise ValueError("no such seed")

    before = torch.get_rng_state(), random.getstate(), get_bit_generator()
    monkeypatch.setattr(np.random, "seed", refuse)
    with pytest.raises(ValueError, match="no such seed"), seeded(5):
        pass
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), get_bit_generator())


def test_half_of_a_pair_of_normal_numbers_does_not_come_out_of_a_block():
    after = []
    for count in (1, 2):
        np.random.seed(3)  # noqa: NPY002  # as other people's code does
        with seeded(5):
            np.random.normal(size=count)  # noqa: NPY002  # as other people's code does
        after.append(np.random.normal())  # noqa: NPY002  # as other people's code does
    assert after[0] == after[1]


def test_whoever_seeds_torch_in_another_thread_waits():
    inside, done = threading.Event(), []
    with seeded(1):
        first = torch.rand(1).item()
        other = threading.Thread(target=draw, args=(2, inside, done))
        other.start()
        assert not inside.wait(0.2)
        second = torch.rand(1).item()
    other.join()
    with seeded(1):
        assert [first, second] == [torch.rand(1).item(), torch.rand(1).item()]
    with seeded(2):
        assert done == [torch.rand(3).tolist()]


def test_a_module_comes_out_alike_while_another_one_is_tried():
    began, within, drew, over = (threading.Event() for _ in range(4))
    another = nn.Linear(2, 1)

    def model():
        layers = [nn.Linear(2, 2)]
        for said, heard in ((began, within), (drew, over)):
            said.set()
            heard.wait(0.3)
            layers.append(nn.Linear(2, 2))
        return nn.Sequential(*layers)

    def loss(outputs, targets):
        within.set()
        drew.wait(0.3)
        return (outputs.sum(1) - targets).sum()

    def try_another():
        began.wait(5)
        trial(another, loss, {}, torch.ones(1, 2), torch.ones(1))
        over.set()

    other = threading.Thread(target=try_another)
    other.start()
    seen = built(model, 7).state_dict()
    other.join()
    alone = built(lambda: nn.Sequential(*(nn.Linear(2, 2) for _ in range(3))), 7).state_dict()
    assert all(torch.equal(seen[name], alone[name]) for name in alone)
