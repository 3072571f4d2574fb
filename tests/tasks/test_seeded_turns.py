"""One generator of torch for the whole process: who seeds it has it for itself."""

import threading

import torch

from flnb.tasks.modules import seeded


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
