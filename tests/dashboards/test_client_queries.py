"""What is asked about clients, beside what the run itself tells."""

import pytest

from flnb.core.errors import QueryRefusedError
from flnb.dashboards import client_queries, queries
from flnb.dashboards.sources import Stored


@pytest.fixture(scope="module")
def source(lab):
    source = Stored(lab, "operator")
    yield source
    source.close()


@pytest.fixture(scope="module")
def line(lab, source):
    return queries.line(source, lab.run("finished").id)


def test_the_summary_counts_what_became_of_every_assignment(lab, source, line):
    summary = client_queries.summary(source, line)
    rounds = lab.run("finished").rounds.df()
    assert summary["invited"].sum() == rounds["invited"].sum()
    assert summary["accepted"].sum() == rounds["accepted"].sum()
    assert summary["bytes_up"].sum() == rounds["bytes_up"].sum()
    assert summary["client"].is_unique


def test_the_strip_has_one_value_a_client_and_round_of_the_last_rounds(source, line):
    values = client_queries.by_round(source, line, "loss", 2)
    assert set(values["round"]) == {3, 4}
    assert not values.duplicated(["client", "round"]).any()


def test_the_story_of_a_client_is_its_rounds_in_order(lab, source, line):
    name = lab.sql("SELECT client FROM updates WHERE round = 1").df()["client"][0]
    story = client_queries.story(source, line, name)
    assert story["round"].is_monotonic_increasing
    assert (
        len(story) == client_queries.summary(source, line).set_index("client").loc[name, "invited"]
    )
    assert story["norm"].notna().all()


@pytest.mark.parametrize("name", ["' OR 1=1 --", "x'; DROP TABLE rounds; --", '"', "\\"])
def test_a_name_is_never_read_as_sql(source, line, name):
    assert len(client_queries.story(source, line, name)) == 0


def test_a_viewer_is_told_nothing_of_clients(lab, line):
    with pytest.raises(QueryRefusedError):
        client_queries.summary(Stored(lab, "viewer"), line)


def test_the_band_of_norms_encloses_its_middle(source, line):
    band = client_queries.cohort_norms(source, line)
    assert band["round"].to_list() == [1, 2, 3, 4]
    assert ((band["low"] <= band["mid"]) & (band["mid"] <= band["high"])).all()
