"""Answers that sessions share."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flnb.core.errors import StoreError
from flnb.dashboards.shared import Shared


def test_what_many_ask_at_once_is_asked_for_once():
    shared, asked, together = Shared(), [], threading.Barrier(8)

    def ask():
        asked.append(1)
        return "answer"

    def look(_):
        together.wait(10)
        return shared.get("clients", 3, ask)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(look, range(8))) == ["answer"] * 8
    assert len(asked) == 1


def test_of_another_moment_it_is_asked_again():
    shared = Shared()
    assert [shared.get("clients", stamp, lambda s=stamp: s) for stamp in (1, 1, 2)] == [1, 1, 2]


def test_what_was_raised_is_not_kept():
    shared = Shared()

    def fail():
        raise StoreError("gone")

    with pytest.raises(StoreError):
        shared.get("clients", 1, fail)
    assert shared.get("clients", 1, lambda: "back") == "back"


def test_only_so_many_answers_are_kept():
    shared = Shared()
    for number in range(1000):
        shared.get(number, 1, lambda: bytes(1000))
    assert len(shared._places) <= 64
