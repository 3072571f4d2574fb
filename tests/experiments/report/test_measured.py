"""What is best of a curve: by the metric's name, also of one that holds no number."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from flnb.core import glance
from flnb.dashboards.pages import rounds
from flnb.experiments.report import run_parts
from flnb.experiments.report.measured import best_of


@pytest.mark.parametrize(("metric", "best"), [("loss", (0.2, 4)), ("accuracy", (0.9, 2))])
def test_the_first_of_the_best_values_counts_and_what_is_no_number_does_not(metric, best):
    curve = pd.Series([math.nan, 0.9, 0.9, 0.2, 0.2], index=range(1, 6))
    assert best_of(curve, metric) == best


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_a_curve_without_a_number_has_no_best_value(metric):
    best, at = best_of(pd.Series([math.nan, math.nan], index=[3, 4]), metric)
    assert math.isnan(best)
    assert at == 3


def test_pages_terminals_and_reports_write_a_metric_alike():
    rows = pd.DataFrame(
        {"scope": "central", "metric": "macro_auc", "round": [1, 2], "value": [0.5, 0.6]}
    )
    facts = SimpleNamespace(metrics=rows, view=SimpleNamespace(headline="macro_auc"))
    assert list(run_parts._headline(facts)) == ["Macro AUC"]
    assert rounds._sentence("macro_auc", banded=False).startswith("Macro AUC of the global model")
    assert glance.heading(["macro_auc"])[1] == "macro AUC"
