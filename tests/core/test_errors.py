"""Errors compose their message, keep their numbers and say what to do."""

import pytest

from flnb.core import errors
from flnb.core.view import Status


def test_a_hint_stands_on_its_own_line():
    error = errors.PlanError("rounds=0 trains nothing", hint="rounds=1 or more")
    assert str(error) == "rounds=0 trains nothing\n→ rounds=1 or more"


def test_an_error_without_a_hint_is_its_message():
    assert str(errors.DataError("no such file: digits.csv")) == "no such file: digits.csv"


def test_too_few_clients_are_counted():
    error = errors.InsufficientClientsError(
        12, got=3, need=5, outcomes={"accepted": 3, "lost": 6, "late": 0}
    )
    assert "round 12 needs 5 updates, 3 were usable (3 accepted, 6 lost)" in str(error)
    assert "run.resume(need=…)" in error.hint
    assert (error.round_number, error.got, error.need) == (12, 3, 5)


def test_another_fingerprint_says_what_differs():
    error = errors.FingerprintError("quiet-otter", {"data": ("3f0a", "77ab")})
    assert "data: was 3f0a, is 77ab" in str(error)
    assert isinstance(error, errors.TaskError)


def test_a_held_lab_names_its_holder():
    error = errors.LabHeldError("./lab", "process 4242 on host-a", "10:31")
    assert "./lab is held by process 4242 on host-a since 10:31" in str(error)


def test_a_full_disk_gives_its_place_and_size():
    assert "no space left at ./lab (1.5 MB free)" in str(
        errors.StorageFullError("./lab", 1_500_000)
    )


def test_a_newer_lab_is_left_alone():
    error = errors.LabVersionError("./lab", found=9, supported=1)
    assert "has format 9, this flnb reads up to 1" in str(error)
    assert "left as it is" in error.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("acuracy", "did you mean 'accuracy'?"),
        ("zzz", "there is: accuracy, loss"),
    ],
)
def test_a_missing_name_offers_what_there_is(name, hint):
    assert errors.NotFoundError("metric", name, ["loss", "accuracy"]).hint == hint


def test_with_nothing_known_nothing_is_offered():
    assert str(errors.NotFoundError("run", "otter")) == "no run 'otter'"


def test_a_list_of_names_says_how_many_it_leaves_out():
    names = [f"c{number:03}" for number in range(20)]
    assert errors.did_you_mean("x", names).endswith("c010, c011 and 8 more")
    assert "more" not in errors.did_you_mean("x", names[:12])


def test_a_word_of_an_enumeration_is_offered_as_the_word():
    assert errors.did_you_mean("runing", list(Status)) == "did you mean 'running'?"
