"""Commits as a list and as choices; runs over seeds; texts in an address."""

import pandas as pd
import param
import pytest

import flnb
from flnb.core.errors import PlanError
from flnb.core.ids import which_of
from flnb.dashboards import queries
from flnb.dashboards.commits import choices, commits, undo_of
from flnb.dashboards.page import Text
from flnb.dashboards.pages.branching import settings_in
from flnb.dashboards.seeds import over_seeds
from flnb.dashboards.targets import LabTarget

NO_VALUES = pd.DataFrame({"round": [], "value": []})


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """A lab with one plan under three seeds, and one that differs."""
    lab = flnb.open(tmp_path_factory.mktemp("seeded") / "lab")
    task = flnb.tasks.digits(split=flnb.IID(clients=4, seed=1))
    local = flnb.Local(lr=0.1)
    plan = flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=2, invite=2, commit_every=1)
    with flnb.Coordinator(lab) as coordinator:
        coordinator.simulate(task, workers=0)
        for seed in range(3):
            one = plan.model_copy(update={"seed": seed})
            coordinator.run(one, task, name=f"seed-{seed}").wait()
        more = plan.model_copy(update={"rounds": 3})
        coordinator.run(more, task, name="longer").wait()
    return lab


def test_every_commit_can_be_found_again_by_what_is_listed(lab):
    walk = lab.run("finished").history
    listed = commits(walk, NO_VALUES)
    assert listed["round"].to_list() == [4, 3, 2, 1]
    found = [walk.checkpoint(which_of(which)).snapshot for which in listed["which"]]
    assert found == listed["commit"].to_list()


def test_every_choice_is_a_checkpoint(lab):
    walk = lab.run("finished").history
    for choice in choices(walk):
        assert walk.checkpoint(which_of(choice)).snapshot


def test_the_last_roll_back_of_a_branch_can_be_undone(seeded):
    source, run = LabTarget(seeded).stored("operator"), seeded.run("longer")

    def offered(of):
        log = queries.last_roll_back(source, of.name, of.view.branch)
        return undo_of(queries.aliases(of, clients=True), log)

    assert offered(run) is None
    run.rollback(1).apply("it diverged")
    found = offered(run)
    assert (found.to, found.head, found.reason) == ("before-rollback-1", (2, 1), "it diverged")
    run.rollback(found.to).apply("after all")
    assert run.history.checkpoint("@head").round == 3
    branch = run.branch("other", at=2)
    assert offered(branch) is None
    branch.rollback(1).apply("too far")
    assert offered(branch).to == "before-rollback-other-1"
    branch.rollback(offered(branch).to).apply("after all")
    assert branch.history.checkpoint("@head").round == 2


def test_what_the_address_names_is_a_choice_even_if_it_is_not_there(lab):
    assert "@gone" in choices(lab.run("finished").history, "@gone")


def test_runs_that_differ_in_their_seed_alone_have_a_mean(seeded):
    names = ["seed-0", "seed-1", "seed-2", "longer"]
    found = over_seeds(flnb.compare(*map(seeded.run, names))).set_index("metric")
    values = [seeded.run(name).view.rows[0].metrics["accuracy"] for name in names[:3]]
    assert found.loc["accuracy", "n"] == 3
    assert found.loc["accuracy", "mean"] == pytest.approx(sum(values) / 3)
    assert found.loc["accuracy", "sd"] == pytest.approx(pd.Series(values).std())


def test_runs_that_differ_otherwise_have_none(seeded):
    comparison = flnb.compare(seeded.run("seed-0"), seeded.run("longer"))
    assert len(over_seeds(comparison)) == 0


@pytest.mark.parametrize("said", [12, 1.5, True, None, "text"])
def test_what_looks_like_a_number_in_an_address_stays_a_text(said):
    class Holder(param.Parameterized):
        at = Text(default="")

    holder = Holder(at=said)
    assert holder.at == {True: "true", None: "null"}.get(said, str(said))


def test_settings_that_are_none_are_refused_in_words():
    assert settings_in("rounds: 60\ninvite: 4") == {"rounds": 60, "invite": 4}
    for text in ("60", "- a", "a: [", "1: 2"):
        with pytest.raises(PlanError):
            settings_in(text)
