"""Names and identities of runs."""

import re

from flnb.core import ids


def test_run_ids_do_not_repeat():
    assert len({ids.new_run_id() for _ in range(1000)}) == 1000


def test_a_run_name_can_be_said():
    assert re.fullmatch(r"[a-z]+-[a-z]+", ids.new_run_name(set()))


def test_a_taken_name_is_not_given_again():
    taken: set[str] = set()
    for _ in range(400):
        name = ids.new_run_name(taken)
        assert name not in taken
        taken.add(name)


def test_there_is_a_name_even_when_all_the_nice_ones_are_taken(monkeypatch):
    monkeypatch.setattr(ids, "_MOODS", "quiet")
    monkeypatch.setattr(ids, "_ANIMALS", "otter")
    assert re.fullmatch(r"run-[0-9a-f]{12}", ids.new_run_name({"quiet-otter"}))
