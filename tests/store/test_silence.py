"""Calls that nobody answers are given up; the others give what they give."""

import threading

import pytest

from flnb.store import silence


def test_what_is_answered_comes_back_and_errors_are_raised():
    assert silence.answered(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        silence.answered(lambda: 1 / 0)


def test_what_nobody_answers_is_given_up(monkeypatch, no_leaks):
    monkeypatch.setattr(silence, "ANSWER_S", 0.01)
    answer = threading.Event()
    with pytest.raises(TimeoutError, match="no answer"):
        silence.answered(answer.wait)
    answer.set()


def test_a_disk_is_waited_for(monkeypatch):
    monkeypatch.setattr(silence, "ANSWER_S", 0.0)
    patience = silence.Wait(with_end=False)
    assert (patience.limit_s, patience.call(lambda: 7)) == (None, 7)
