import copy
import functools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from flnb.datasets import Split, own
from flnb.tasks.fingerprint import Fingerprint, digest_code, digest_data


def compiled(source, name="make", **names):
    scope = {"nn": nn, "__name__": "cell", **names}
    exec(compile(source, "<cell>", "exec"), scope)
    return scope[name]


def test_the_same_task_made_twice_has_one_fingerprint(make_task):
    assert make_task().fingerprint() == make_task().fingerprint()


def test_another_loss_changes_only_the_code(make_task):
    assert make_task(loss="mse").fingerprint().differs(make_task().fingerprint()).keys() == {"code"}


def test_one_other_value_or_another_split_changes_only_the_data(make_task, arrays):
    was = make_task().fingerprint()
    x, y = arrays[0].copy(), arrays[1]
    x[3, 1] += 1
    assert make_task(train=(x, y)).fingerprint().differs(was).keys() == {"data"}
    assert make_task(split={"kind": "iid", "clients": 2}).fingerprint().differs(was).keys() == {
        "data"
    }


def test_whose_the_held_out_examples_are_belongs_to_the_data(arrays):
    split = Split.of({"anna": [0, 1]})
    digests = {
        digest_data(own(*arrays, split=split, test=arrays, test_ids=ids))
        for ids in (None, ["a"] * len(arrays[1]), ["b"] * len(arrays[1]))
    }
    assert len(digests) == 3


def test_a_wider_layer_changes_code_and_layout(make_task):
    was, now = (make_task(functools.partial(nn.Linear, 4, n)).fingerprint() for n in (3, 5))
    assert was.differs(now).keys() == {"code", "layout"}


def test_a_value_in_a_closure_or_a_default_belongs_to_the_code():
    def make(hidden):
        return lambda width=3: nn.Linear(hidden, width)

    assert digest_code(make(4)) == digest_code(make(4)) != digest_code(make(5))


def test_a_class_that_a_factory_uses_belongs_to_the_code():
    nets = [
        compiled(f"class Net(nn.Module):\n def __init__(self):\n  self.n = {n}", "Net")
        for n in (1, 1, 2)
    ]
    digests = [digest_code(compiled("def make():\n return Net()", Net=net)) for net in nets]
    assert digests[0] == digests[1] != digests[2]


def test_code_without_source_is_told_apart_by_its_inner_functions():
    sources = [f"def make():\n return [i + {n} for i in (1, 2)]" for n in (1, 1, 2)]
    digests = [digest_code(compiled(source)) for source in sources]
    assert digests[0] == digests[1] != digests[2]


def test_a_comment_is_not_a_change(tmp_path, monkeypatch):
    import importlib
    import sys

    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for comment in ("", "    # reads better\n"):
        (tmp_path / "own_net.py").write_text(f"def make():\n{comment}    return 1\n")
        sys.modules.pop("own_net", None)
        importlib.invalidate_caches()
        import linecache

        linecache.clearcache()
        digests.append(digest_code(importlib.import_module("own_net").make))
    sys.modules.pop("own_net", None)
    assert digests[0] == digests[1]


def test_the_weights_of_a_loss_object_belong_to_the_code():
    losses = [nn.CrossEntropyLoss(weight=torch.tensor([1.0, n])) for n in (1.0, 1.0, 2.0)]
    digests = [digest_code(loss) for loss in losses]
    assert digests[0] == digests[1] != digests[2]


def test_a_recursive_function_has_a_digest():
    assert len(digest_code(compiled("def make(n):\n return n and make(n - 1)"))) == 16


def test_what_differs_is_named_with_both_values():
    was, now = Fingerprint("a", "b", "c"), Fingerprint("a", "x", "c")
    assert was.differs(now) == {"data": ("b", "x")}
    assert was.differs(was) == {}


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_empty_arrays_have_a_fingerprint(make_task, shape):
    empty = np.zeros(shape, np.float32), np.zeros(shape[0], np.int64)
    assert make_task(test=empty).fingerprint().data


class Settings:
    def __init__(self, weights):
        self.weights, self.me = weights, self


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])),
        (torch.ones(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16)),
        (np.arange(3), np.arange(3).astype(np.int16)),
        (np.array(["a", None], object), np.array(["b", None], object)),
        ({"width": [1, {2, "x"}]}, {"width": [1, {2, "y"}]}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (functools.partial(max, key=abs), functools.partial(max, key=len)),
        (Settings(torch.ones(2)), Settings(torch.zeros(2))),
        (nn.CrossEntropyLoss(weight=torch.ones(2)), nn.CrossEntropyLoss(weight=torch.zeros(2))),
        (torch.float32, torch.float64),
    ],
)
def test_a_global_that_the_code_reads_belongs_to_it(was, now):
    digests = [
        digest_code(compiled("def make():\n return value", value=value))
        for value in (was, copy.deepcopy(was), now)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_global_that_only_shares_its_name_with_an_attribute_does_not_belong_to_the_code():
    digests = [digest_code(compiled("def make(x):\n return x.value", value=n)) for n in (1, 2)]
    assert digests[0] == digests[1]


OWN = """
import functools, own_parts, torch
from pathlib import Path
VALUES = {"b", "a", "c"}
HOME, KIND, LOCK = Path("here"), torch.float32, object()
class Setting:
    def __init__(self, n): self.n, self.again = n, self
SETTING = Setting({"x": torch.ones(2)})
LOSS = functools.partial(own_parts.loss, mode="sum")
def make(): return own_parts.net(), VALUES, HOME, KIND, LOCK, SETTING, LOSS
"""
PARTS = """
import own_net
WIDTH = %s
def net(): return [WIDTH, own_net.VALUES, own_net.make]
def loss(outputs, targets, mode): return mode
"""


DIGESTS = """
import sys
from flnb.tasks.fingerprint import digest_code
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    import own_net
    print(digest_code(own_net.make))
    del sys.modules["own_net"], sys.modules["own_parts"]
"""


def own_digests(folder, hash_seed, widths):
    for width in widths:
        (folder / width).mkdir(exist_ok=True)
        (folder / width / "own_net.py").write_text(OWN)
        (folder / width / "own_parts.py").write_text(PARTS % f"[{width}]")
    return subprocess.run(
        [sys.executable, "-c", DIGESTS, *(str(folder / width) for width in widths)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()


def test_own_modules_are_followed_and_processes_agree(tmp_path):
    (first, other), (again,) = own_digests(tmp_path, "1", "49"), own_digests(tmp_path, "2", "4")
    assert first == again != other
