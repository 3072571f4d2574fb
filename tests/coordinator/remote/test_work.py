"""What is remembered of remote assignments: an update counts once, and only for what it names."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.coordinator.remote.work import Facts, Key, OpenWork, Received, payload, read_update
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import ClientHalf, Outcome, Work
from flnb.core.plan import Local
from flnb.tensors import Layout, Model, Update
from flnb.transport.v1 import federation_pb2 as pb

LAYOUT = Layout.of([("w", (3, 2), "float32", "parameter"), ("n", (), "int64", "buffer")])
BASE = Model(
    LAYOUT,
    np.arange(LAYOUT.n_values, dtype=np.float32),
    np.arange(LAYOUT.n_integers, dtype=np.int64),
)
DIGEST = b"d" * 32


def work(n=3, **changes):
    settings = {
        "run": RunId("run"),
        "seed": 7,
        "round": 4,
        "attempt": 1,
        "stage": "train",
        "clients": tuple(ClientId(f"c{i}") for i in range(n)),
        "half": ClientHalf("flnb.training.local:local_sgd", Local(epochs=1)),
        "weighting": "examples",
        "generation": 2,
    }
    return OpenWork(Work(**settings | changes), BASE, DIGEST)


def envelope(key, **changes):
    size = len(payload(BASE))
    settings = {
        "assignment": key.message(),
        "base_digest": DIGEST,
        "update": pb.Manifest(n_bytes=size, hashes=b"h" * 32),
        "n_examples": 12,
        "loss": 0.5,
        "train_s": 1.0,
    }
    return pb.Envelope(**settings | changes)


def received(digest=b"u" * 32):
    update = Update(LAYOUT, BASE.values.copy(), BASE.integers.copy())
    return Received(Facts(12, 1.0, 0.5), digest, lambda: update)


def test_an_update_for_an_open_assignment_is_welcome():
    opened = work()
    assert opened.objection(envelope(opened.rows[1].key), "c1") == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run": "other"}, "was not assigned"),
        ({"generation": 1}, "was not assigned"),
        ({"round": 3}, "was not assigned"),
        ({"attempt": 0}, "was not assigned"),
        ({"stage": "masks"}, "was not assigned"),
        ({"client": "c2"}, "signed by c1 and names c2"),
    ],
)
def test_an_update_for_anything_else_is_not(change, words):
    opened = work()
    key = opened.rows[1].key._replace(**change)
    assert words in opened.objection(envelope(key), "c1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_digest": b"x" * 32}, "another version"),
        ({"update": pb.Manifest(n_bytes=4, hashes=b"h" * 32)}, "it has 4 bytes"),
        ({"n_examples": 0}, "0 examples"),
        ({"n_examples": 2**60}, "examples"),
        ({"train_s": math.nan}, "not finite"),
        ({"metrics": [pb.Metric(name="accuracy", total=math.inf, count=1)]}, "not finite"),
    ],
)
def test_an_update_that_says_something_impossible_is_not(change, words):
    opened = work()
    assert words in opened.objection(envelope(opened.rows[1].key, **change), "c1")


def test_rows_are_reported_in_order_of_arrival_and_once():
    opened = work(4)
    assert opened.receive(opened.rows[2].key, received(), 1.0)
    opened.settle([0], Outcome.LOST, "gone", 2.0)
    assert opened.receive(opened.rows[3].key, received(), 3.0)
    assert not opened.receive(opened.rows[3].key, received(), 4.0)
    assert opened.take(1) == [2, 0]
    assert opened.take(None) == [3]
    assert opened.take(None) == []
    assert not opened.reported
    opened.settle([1], Outcome.LATE, "", 5.0)
    assert opened.take(None) == [1]
    assert opened.reported


def test_what_travels_is_the_same_update_again():
    update = Update(
        LAYOUT,
        np.random.default_rng(0).normal(size=LAYOUT.n_values).astype(np.float32),
        BASE.integers.copy(),
    )
    again = read_update(LAYOUT, payload(update))
    assert again.values.tobytes() == update.values.tobytes()
    assert again.integers.tobytes() == update.integers.tobytes()


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["update", "lost", "failed", "late"])),
        max_size=40,
    ),
    st.lists(st.one_of(st.none(), st.integers(1, 3)), max_size=40),
)
def test_whatever_comes_in_whatever_order_every_row_is_settled_once(news, takes):
    opened = work(6)
    outcomes: dict[int, Outcome] = {}
    names = {"lost": Outcome.LOST, "failed": Outcome.FAILED, "late": Outcome.LATE}
    told: list[int] = []
    for index, (place, what) in enumerate(news):
        if what == "update":
            counted = opened.receive(opened.rows[place].key, received(), float(index))
            assert counted == (place not in outcomes)
            outcomes.setdefault(place, Outcome.ACCEPTED)
        else:
            opened.settle([place], names[what], what, float(index))
            outcomes.setdefault(place, names[what])
        if index < len(takes):
            limit = takes[index]
            rows = opened.take(limit)
            updates = [row for row in rows if outcomes[row] is Outcome.ACCEPTED]
            assert limit is None or len(updates) <= limit
            told += rows
    told += opened.take(None)
    assert sorted(told) == sorted(outcomes)
    assert {place: opened.rows[place].outcome for place in outcomes} == outcomes


def test_a_key_goes_through_its_message_and_back():
    key = Key("run", 1, 2, 3, "train", "hospital-a")
    assert Key.of(key.message()) == key
