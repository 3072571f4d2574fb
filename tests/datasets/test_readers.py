"""Readers: digits, MNIST, Shakespeare, hospitals, your own; and what bad files get."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys

import numpy as np
import pytest

from flnb.core.errors import DataError
from flnb.datasets import (
    IID,
    Dirichlet,
    Split,
    data_dir,
    heart,
    load_digits_data,
    mnist,
    own,
    shakespeare,
)
from flnb.datasets.own import every_fifth


def test_digits_are_always_there_with_a_fixed_stratified_test_part():
    data = load_digits_data()
    assert (data.train.x.shape, data.test.x.shape) == ((1442, 8, 8), (355, 8, 8))
    assert (data.train.x.dtype, data.train.x.min(), data.train.x.max()) == (np.float32, 0, 1)
    share = np.bincount(data.test.y) / (np.bincount(data.test.y) + np.bincount(data.train.y))
    assert np.abs(share - 0.2).max() < 0.01
    assert data.n_classes == 10
    assert (len(data.split), data.split.sizes.min() > 0) == (20, True)


def test_the_default_split_of_the_digits_is_the_documented_one_and_can_be_replaced():
    data = load_digits_data()
    assert data.split == Dirichlet(alpha=0.3, clients=20).split(data.train.y)
    assert len(load_digits_data(split=IID(clients=3)).split) == 3


def test_the_digits_are_those_of_scikit_learn_and_do_not_wait_for_it():
    program = (
        "import sys; from flnb.datasets import load_digits_data; data = load_digits_data();"
        "assert 'sklearn' not in sys.modules; from sklearn.datasets import load_digits;"
        "images = sorted(image.tobytes() for image in (load_digits().images / 16).astype('float32'));"
        "mine = sorted(image.tobytes() for part in (data.train, data.test) for image in part.x);"
        "assert images == mine"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_fifth_of_each_class_is_held_out_in_the_order_of_the_file():
    assert every_fifth(np.array([0] * 11 + [1] * 5)).tolist() == [4, 9, 15]
    assert every_fifth(np.array([0, 1, 0, 1])).tolist() == []
    assert every_fifth(np.array([0] * 11 + [1] * 5), first=0).tolist() == [0, 5, 10, 11]


def test_importing_the_room_loads_neither_scikit_learn_nor_torch():
    code = "import sys, flnb.datasets, flnb.sampling; print({'sklearn', 'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_your_own_arrays_become_federated_data():
    x, y = np.zeros((6, 2), np.float32), [0, 1, 2, 0, 1, 2]
    natural = own(x, y, ids=["mia", "leo", "mia", "leo", "mia", "leo"], test=(x[:1], [3]))
    assert natural.split.clients == ("leo", "mia")
    assert natural.n_classes == 4
    assert own(x, y, split=Split.of({"a": [5]})).split.label_counts.tolist() == [[0, 0, 1]]
    assert own(x, np.zeros(6), split=IID(clients=2)).n_classes is None
    assert own(x, y, split=IID(clients=2), labels=("a", "b", "c")).split.labels == ("a", "b", "c")


def test_your_own_arrays_need_somebody_who_holds_them():
    with pytest.raises(DataError, match=r"is not said\n→ give ids=… .*or split=IID"):
        own([[0.0]], [0])


def test_without_a_data_folder_the_error_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.delenv("FLNB_DATA_DIR", raising=False)
    for reader in (data_dir, mnist, shakespeare, heart):
        with pytest.raises(DataError, match=r"FLNB_DATA_DIR is not set[\s\S]*data/README\.md"):
            reader()
    monkeypatch.setenv("FLNB_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere', which is not a folder"):
        data_dir()


@pytest.mark.parametrize("reader", [mnist, shakespeare, heart])
def test_a_missing_file_is_named_with_its_folder_and_source(reader, tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path.name} has no ") as caught:
        reader(tmp_path)
    assert "get it from" in caught.value.hint


def idx(values, *, kind=8):
    values = np.asarray(values, np.uint8)
    head = bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()


@pytest.fixture
def tiny_mnist(tmp_path):
    images = np.arange(4 * 28 * 28).reshape(4, 28, 28) % 256
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        packed = gzip.compress(idx([0, 1, 9, 3]))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(packed)
    return tmp_path


def test_idx_files_are_read_plain_or_packed(tiny_mnist):
    data = mnist(tiny_mnist, split=IID(clients=2))
    assert data.train.x.dtype == np.uint8
    assert data.train.x[1, 0, :3].tolist() == [784 % 256, 785 % 256, 786 % 256]
    assert data.test.y.tolist() == [0, 1, 9, 3]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("train-images-idx3-ubyte", idx(np.zeros((4, 28, 28)))[:-1], "is torn: .* 3,136 .* 3,135"),
        ("train-images-idx3-ubyte", idx(np.zeros((4, 28, 28))) + b"x", "is torn"),
        ("train-images-idx3-ubyte", idx(np.zeros(4)), "begins with 00 00 08 01, not 00 00 08 03"),
        ("train-images-idx3-ubyte", b"", "begins with nothing"),
        ("train-images-idx3-ubyte", idx(np.zeros((1, 28, 28)))[:9], "is not an IDX file"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((3, 28, 28))), "t10k has 3 images and 4 labels"),
        ("t10k-labels-idx1-ubyte", idx([0, 1, 2, 10]), "t10k has label 10"),
        ("t10k-labels-idx1-ubyte", idx([0, 1, 2, 3], kind=9), "begins with 00 00 09 01"),
    ],
)
def test_a_malformed_idx_file_is_refused(tiny_mnist, name, content, complaint):
    (tiny_mnist / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        mnist(tiny_mnist, split=IID(clients=2))


def test_a_torn_gzip_file_is_refused(tiny_mnist):
    packed = tiny_mnist / "train-labels-idx1-ubyte.gz"
    for torn in (packed.read_bytes()[:-12], b"not gzip at all"):
        packed.write_bytes(torn)
        with pytest.raises(DataError, match="torn or not gzip"):
            mnist(tiny_mnist)


def write_roles(folder, roles):
    (folder / "roles.json").write_text(json.dumps(roles), encoding="utf-8")


def test_windows_are_followed_by_their_next_character_and_stay_within_a_role(tmp_path):
    roles = {"a/A": "abcdefghij" * 3, "b/B": "0123456789" * 2, "c/C": "xyz"}
    write_roles(tmp_path, roles)
    data = shakespeare(tmp_path, window=4, stride=3)
    assert data.split.clients == ("a/A", "b/B")
    for name in data.split:
        training = roles[name][: round(0.8 * len(roles[name]))]
        shown = []
        for index in data.split.indices(name):
            window = "".join(data.labels[code] for code in data.train.x[index])
            shown.append(window + data.labels[data.train.y[index]])
        assert shown == [training[at : at + 5] for at in range(0, len(training) - 4, 3)]


def test_held_out_text_is_the_end_of_each_role(tmp_path):
    write_roles(tmp_path, {"a/A": "a" * 80 + "b" * 20})
    data = shakespeare(tmp_path, window=4, stride=1)
    assert (len(data.train), len(data.test)) == (76, 16)
    assert (set(data.train.y), set(data.test.y)) == ({0}, {1})
    assert data.train.x.dtype == np.int8


def test_any_alphabet_can_be_read(tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    write_roles(tmp_path, {"李": text})
    data = shakespeare(tmp_path, window=4, stride=1, test_fraction=0.0)
    assert data.train.x.dtype == np.int16
    assert data.labels == tuple(text)
    assert data.test is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ("[1]", "not a mapping"),
        ('{"a": 1}', "not a mapping"),
        ("{}", "no role"),
        ('{"a": "short"}', "no role has more than 80 characters"),
    ],
)
def test_a_malformed_role_file_is_refused(tmp_path, content, complaint):
    (tmp_path / "roles.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=complaint):
        shakespeare(tmp_path)


@pytest.mark.parametrize("setting", [{"window": 0}, {"stride": 0}, {"test_fraction": 1.0}])
def test_impossible_windows_are_refused(tmp_path, setting):
    with pytest.raises(DataError, match="must be 1 or more"):
        shakespeare(tmp_path, **setting)


def hospital(patients):
    return "".join(",".join(map(str, patient)) + "\n" for patient in patients)


@pytest.fixture
def hospitals(tmp_path):
    random = np.random.default_rng(0)
    for name in ("cleveland", "hungarian", "switzerland", "va"):
        values = random.normal(100, 10, (20, 13)).round(2).tolist()
        patients = [[*row, number % 5] for number, row in enumerate(values)]
        patients[3][4] = "?"
        patients[5][4] = ""
        patients[7][4] = 0
        (tmp_path / f"processed.{name}.data").write_text(hospital(patients))
    return tmp_path


def test_hospitals_are_clients_and_any_disease_is_ill(hospitals):
    data = heart(hospitals)
    assert data.split.clients == ("cleveland", "hungarian", "switzerland", "va")
    assert (len(data.train), len(data.test)) == (68, 12)
    assert np.bincount(data.train.y).tolist() == [16, 52]
    assert data.train.x.dtype == np.float32


def test_over_five_folds_each_patient_is_tested_once_and_hospitals_can_be_told_apart(hospitals):
    folds = [heart(hospitals, fold=fold, apart=True) for fold in range(5)]
    assert sum(len(data.test) for data in folds) == 80
    targets = np.concatenate([data.test.y for data in folds])
    assert np.bincount(targets).tolist() == [16, 64]
    assert folds[4].test_parts == ("cleveland", "hungarian", "switzerland", "va")
    assert list(folds[4].test_ids).count("va") == 3
    assert heart(hospitals).test_ids is None
    with pytest.raises(DataError, match=r"fold=5: the five test parts are 0 … 4"):
        heart(hospitals, fold=5)


def test_columns_are_standardised_over_the_training_patients(hospitals):
    x = heart(hospitals).train.x.astype(np.float64)
    assert np.abs(x.mean(axis=0)).max() < 1e-5
    assert np.abs(x.std(axis=0) - 1).max() < 1e-5


def test_missing_and_impossible_values_become_the_median_of_their_column(hospitals):
    column = heart(hospitals).train.x[:, 4]
    # Patients 3 ("?"), 5 (empty) and 7 (no cholesterol at all) of four hospitals, none held out.
    values, times = np.unique(column, return_counts=True)
    assert times.max() == 12
    assert values[times.argmax()] == pytest.approx(np.median(column), abs=1e-6)


def test_statistics_do_not_see_the_test_patients(hospitals):
    before = heart(hospitals)
    path = hospitals / "processed.va.data"
    lines = path.read_text().splitlines()
    ill = [number for number in range(20) if number % 5]
    lines[ill[4]] = ",".join(["1e6"] * 13 + ["1"])
    path.write_text("\n".join(lines))
    after = heart(hospitals)
    assert np.array_equal(before.train.x, after.train.x)
    assert not np.array_equal(before.test.x, after.test.x)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("1,2,3", "3 columns, not 14"),
        (",".join(["1"] * 13 + ["x"]), "could not convert string to float: 'x'"),
        (",".join(["1"] * 13 + ["?"]), "patient 1 has no target"),
        ("", "has no patients"),
    ],
)
def test_a_malformed_hospital_is_refused(hospitals, line, complaint):
    (hospitals / "processed.va.data").write_text(line + "\n")
    with pytest.raises(DataError, match=complaint):
        heart(hospitals)


def test_a_column_that_nobody_measured_is_refused(hospitals):
    for path in hospitals.iterdir():
        path.write_text("".join(",".join(["?"] * 13 + [str(n % 2)]) + "\n" for n in range(12)))
    with pytest.raises(DataError, match="no training patient has a value of 'age'"):
        heart(hospitals)


@pytest.mark.data
def test_the_real_mnist_is_whole_and_in_its_original_order():
    data = mnist()
    assert (data.train.x.shape, data.test.x.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert data.train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.train.x.mean() * data.train.scale == pytest.approx(0.1307, abs=1e-4)
    assert (data.split.sizes == 600).all()


@pytest.mark.data
def test_the_real_shakespeare_is_one_client_a_role():
    data = shakespeare(stride=80)
    assert len(data.split) == 1131
    assert data.n_classes == 77
    window = "".join(
        data.labels[code] for code in data.train.x[data.split.indices("hamlet/HAMLET")[0]]
    )
    assert window.startswith("[Aside]  A little more than kin")


@pytest.mark.data
def test_the_real_hospitals_differ_as_published():
    data = heart()
    assert len(data.train) + len(data.test) == 303 + 294 + 123 + 200
    ill = data.split.label_counts[:, 1] / data.split.sizes
    assert ill[2] > 0.9 > 0.7 > ill[3] - 0.1 > ill[0] > ill[1]
    assert np.isfinite(data.train.x).all()


@pytest.mark.data
def test_fedprox_sizes_on_the_real_mnist_are_those_that_are_documented():
    from flnb.datasets import PowerLawSizes

    sizes = PowerLawSizes(clients=1000, labels=2).split(mnist().train.y).sizes
    assert (sizes.min(), np.median(sizes), sizes.max(), sizes.sum()) == (15, 30, 4718, 60_000)
