"""One generator of torch for the whole process: who seeds it has it for itself."""

import threading

import torch
from torch import nn

from flnb.tasks.modules import built, seeded, trial


def draw(seed, inside, done):
    with seeded(seed):
        inside.set()
        done.append(torch.rand(3).tolist())


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
