"""What `run.round(n).why()` says of each client, and that it stays readable."""

from dataclasses import replace

import numpy as np
import pytest

from flnb.coordinator.details import RoundDetails
from flnb.core.errors import AccessRefusedError
from flnb.testing.stores import sample_closing


def closing(outcomes, reasons=None):
    """A closed round of clients c000, c001, …; those that answered have an update."""
    names = [f"c{number:03d}" for number in range(len(outcomes))]
    came = [place for place, outcome in enumerate(outcomes) if outcome in {"accepted", "refused"}]
    n = len(came)
    updates = {
        "client": [names[place] for place in came],
        "n_examples": np.full(n, 1240),
        "weight": np.ones(n),
        "loss": np.zeros(n),
        "norm": np.ones(n),
        "bytes_up": np.full(n, 31_400),
        "arrived_s": np.full(n, 2.5),
        "train_s": np.full(n, 0.25),
        "accepted": np.array([outcomes[place] == "accepted" for place in came]),
    }
    told = reasons or [""] * len(outcomes)
    assignments = {"client": names, "outcome": outcomes, "reason": told}
    return replace(
        sample_closing(3), assignments=assignments, updates=updates, invited=len(outcomes)
    )


def lines(*arguments):
    return RoundDetails("first", closing(*arguments)).why().splitlines()[2:]


def test_each_client_that_was_used_has_a_line_with_what_it_sent_and_took():
    assert lines(["accepted"]) == [
        "c000 used: 1,240 examples, 31.4 kB up, here after 2.5 s, 250 ms of work"
    ]


def test_whoever_was_not_used_comes_first_with_the_reason():
    outcomes = ["accepted", "refused", "failed", "late"]
    reasons = ["", "3 values are NaN", "Traceback …\nValueError: x\n", "not here after 2 s"]
    told = lines(outcomes, reasons)
    assert told[:2] == [
        "c001 refused: 3 values are NaN",
        "    1,240 examples, 31.4 kB up, here after 2.5 s, 250 ms of work",
    ]
    assert told[2:5] == [
        "c002 failed: Traceback …",
        "ValueError: x",
        "c003 late: not here after 2 s",
    ]
    assert told[5].startswith("c000 used")


def test_many_clients_are_counted_after_twenty_of_each_kind():
    told = lines(["accepted"] * 100 + ["lost"] * 30 + ["late"] * 5)
    assert len(told) == 42
    assert told[20] == "… and 10 more lost, 5 more late"
    assert told[-1] == "… and 80 more used"


def test_a_round_without_rows_of_clients_says_who_may_see_them():
    hidden = replace(closing(["accepted"] * 3), assignments={"client": []}, updates={"client": []})
    details = RoundDetails("first", hidden)
    assert details.why().splitlines()[-1] == "what became of each client is shown to operators"
    with pytest.raises(AccessRefusedError, match="operator"):
        _ = details.clients
