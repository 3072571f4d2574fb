"""Versions of the model and changes to it."""

import pickle

import numpy as np
import pytest

from flnb.core.errors import IntegrityError
from flnb.tensors import Layout, Model, Update, aligned
from flnb.tensors.arrays import is_aligned

LAYOUT = Layout.of([("w", (4, 3), "float32", "parameter"), ("n", (), "int64", "buffer")])


def made(kind=Model):
    values, integers = aligned(LAYOUT.n_values, np.float32), aligned(LAYOUT.n_integers, np.int64)
    values[:12] = range(12)
    integers[0] = 5
    return kind(LAYOUT, values, integers)


def test_a_version_cannot_be_changed_by_accident():
    model = made()
    with pytest.raises(ValueError, match="read-only"):
        model.values[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        model.tensor("n")[...] = 1


@pytest.mark.parametrize("kind", [Model, Update])
def test_pickling_keeps_bits_alignment_and_the_lock(kind):
    again = pickle.loads(pickle.dumps(made(kind), protocol=5))
    assert again.values.tobytes() == made(kind).values.tobytes()
    assert is_aligned(again.values)
    assert is_aligned(again.integers)
    assert not again.values.flags.writeable


def test_digest_sees_every_value_and_the_layout():
    model = made()
    changed = model.values.copy()
    changed[3] = np.nextafter(changed[3], np.float32(9))
    counted = model.integers + 1
    renamed = Layout.of([("v", (4, 3), "float32", "parameter"), ("n", (), "int64", "buffer")])
    others = [
        Model(LAYOUT, changed, model.integers),
        Model(LAYOUT, model.values, counted),
        Model(renamed, model.values, model.integers),
    ]
    assert made().sha256() == model.sha256()
    assert len({model.sha256(), *(other.sha256() for other in others)}) == 4


def test_a_tensor_is_seen_in_its_shape():
    assert np.array_equal(made().tensor("w"), np.arange(12, dtype=np.float32).reshape(4, 3))
    assert made().tensor("n") == 5
    with pytest.raises(KeyError):
        made().tensor("absent")


def test_arrays_of_another_length_or_dtype_are_refused():
    model = made()
    with pytest.raises(
        IntegrityError, match=r"Model.values is float32\[3\], expected float32\[16\]"
    ):
        Model(LAYOUT, model.values[:3], model.integers)
    with pytest.raises(IntegrityError, match=r"Update.values is >f4\[16\]"):
        Update(LAYOUT, model.values.astype(">f4"), model.integers)


def test_a_good_update_may_be_used_and_another_layout_may_not():
    other = Layout.of([("w", (4, 4), "float32", "parameter"), ("n", (), "int64", "buffer")])
    assert made(Update).check(LAYOUT) == ""
    assert made(Update).check(other) == (
        "tensor 'w' is float32[4, 3] (parameter), expected float32[4, 4] (parameter)"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_says_where(bad):
    values = made().values.copy()
    values[[4, 7]] = bad
    reason = Update(LAYOUT, values, made().integers).check(LAYOUT)
    assert reason == "2 values are NaN or infinite, the first in 'w'"


def test_an_update_of_what_was_infinite_and_is_has_no_change_there():
    values = made().values.copy()
    values[:3] = [-np.inf, np.inf, np.inf]
    trained = values[:12].reshape(4, 3) + 2
    trained[0, 2] = -np.inf
    update = Update.between(Model(LAYOUT, values, made().integers), {"w": trained})
    assert update.values[:12].tolist() == [0.0, 0.0, -np.inf, *[2.0] * 9]


def test_an_update_between_a_version_and_what_was_trained_leaves_the_rest():
    base = made()
    assert not Update.between(base, {}).values.any()
    update = Update.between(base, {"w": base.tensor("w") + 2, "n": np.array(9)})
    assert (update.tensor("w") == 2).all()
    assert update.tensor("n") == 9
    with pytest.raises(IntegrityError, match=r"w has shape \(3,\)"):
        Update.between(base, {"w": np.zeros(3)})
