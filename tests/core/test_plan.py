"""Plans: what a person writes, in Python or YAML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core import Evaluation, Local, Plan, StrategyConfig, strategy_registry
from flnb.core.errors import NotFoundError, PlanError


@pytest.fixture(autouse=True)
def _known_strategies(monkeypatch):
    class Still(StrategyConfig):
        kind = "fedavg"
        server_lr: float = 1.0

    monkeypatch.setitem(strategy_registry._entries, "fedavg", Still)


def test_need_is_half_of_the_invited_unless_said():
    assert [Plan(invite=invite).need for invite in (1, 2, 5, 10)] == [1, 1, 3, 5]
    assert Plan(invite=10, need=8).need == 8


def test_another_number_of_clients_needs_another_half():
    plan = Plan(invite=10)
    assert plan.replace(invite=4).need == 2
    assert plan.replace(rounds=3).need == 5
    assert Plan(invite=10, need=3).replace(invite=4).need == 3


def test_need_above_invite_is_refused_with_both_numbers():
    with pytest.raises(PlanError, match="need=11 is more than invite=10: no round closes"):
        Plan(need=11)


def test_sampling_all_invites_everybody():
    plan = Plan(sampling="all")
    assert plan.invite is None
    assert [plan.quorum_of(population) for population in (1, 2, 5, 10)] == [1, 1, 3, 5]
    assert Plan(sampling="all", need=4).quorum_of(10) == 4


def test_need_is_a_number_whatever_the_population_unless_all_are_invited():
    for sampling in ("fixed", "poisson"):
        assert Plan(sampling=sampling, invite=10).quorum_of(1000) == 5
    assert Plan(invite=10).replace(sampling="all", invite=None).quorum_of(1000) == 500


def test_need_follows_invite_after_a_trip_through_yaml_as_before():
    plan = Plan(invite=20)
    assert "need" not in plan.to_yaml()
    assert Plan.from_yaml(plan.to_yaml()).replace(invite=8).need == 4
    assert Plan.from_yaml("invite: 20\nneed: null").replace(invite=8).need == 4
    assert Plan.from_yaml(Plan(invite=20, need=7).to_yaml()).replace(invite=8).need == 7


def test_need_written_down_or_left_to_follow_is_the_same_plan():
    followed, written = Plan(invite=20), Plan(invite=20, need=10)
    assert followed == written
    assert followed.hash == written.hash


def test_who_is_excluded_is_a_set_in_order():
    plan = Plan(exclude={"c2", "c10", "c1"})
    assert plan.exclude == ("c1", "c10", "c2")
    assert plan.hash == Plan(exclude=["c10", "c2", "c1", "c2"]).hash


def test_sampling_all_with_a_number_is_a_contradiction():
    with pytest.raises(PlanError, match="absent for all"):
        Plan(sampling="all", invite=3)
    with pytest.raises(PlanError, match="a number for fixed"):
        Plan(invite=None)


def test_local_training_is_counted_in_epochs_or_in_steps():
    assert Local(epochs=None, steps=5).steps == 5
    for both in ({"steps": 5}, {"epochs": None}):
        with pytest.raises(PlanError, match="either epochs or steps"):
            Local(**both)


def test_a_mistyped_key_names_its_neighbour_at_every_depth():
    with pytest.raises(PlanError, match="did you mean 'rounds'"):
        Plan.from_yaml("ruonds: 3")
    with pytest.raises(PlanError, match="did you mean 'server_lr'"):
        Plan.from_yaml("strategy: {kind: fedavg, server_lrr: 1}")
    with pytest.raises(PlanError, match="did you mean 'epochs'"):
        Plan.from_yaml("strategy: {local: {epoch: 1}}")


def test_a_mistyped_strategy_names_its_neighbour(monkeypatch):
    monkeypatch.setattr(strategy_registry, "names", lambda: ["fedavg", "fedprox"])
    with pytest.raises(NotFoundError, match="did you mean 'fedavg'"):
        Plan(strategy="fedagv")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rounds: [", "not YAML"),
        ("", "a plan is a mapping of settings, got NoneType"),
        ("- rounds", "got list"),
        ("1: 2", "no setting '1'"),
        ("rounds: many", "Plan.rounds: .*got 'many'"),
        ("commit_every: often", "Plan.commit_every: .*'auto', got 'often'"),
    ],
)
def test_yaml_that_is_no_plan_is_refused(text, complaint):
    with pytest.raises(PlanError, match=complaint):
        Plan.from_yaml(text)


def test_a_plan_is_read_from_a_file(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text("rounds: 7\nstrategy: fedavg\n", encoding="utf-8")
    assert Plan.from_yaml(file) == Plan(rounds=7)


def test_a_stored_plan_of_before_with_an_infinite_bound_is_read_as_one_without():
    plan = Plan(rounds=7, strategy={"kind": "fedavg", "local": {"clip_grad_norm": 2.0}})
    text = plan.to_yaml().replace("deadline_s: null", "deadline_s: .inf")
    stored = text.replace("clip_grad_norm: 2.0", "clip_grad_norm: .inf")
    assert stored.count(".inf") == 2
    again = Plan.from_stored(stored)
    assert again == Plan(rounds=7)
    assert again.hash == Plan(rounds=7).hash
    for infinite in (stored, "strategy: {kind: fedavg, local: {lr: .inf}}"):
        with pytest.raises(PlanError, match=r"finite"):
            Plan.from_yaml(infinite)
    with pytest.raises(PlanError, match=r"lr: .*got None"):
        Plan.from_stored(infinite)


plans = st.builds(
    dict,
    rounds=st.integers(1, 10_000),
    sampling=st.sampled_from(["fixed", "poisson"]),
    invite=st.integers(4, 1000),
    need=st.one_of(st.none(), st.integers(1, 4)),
    deadline_s=st.one_of(st.none(), st.floats(1e-6, 1e6)),
    close=st.sampled_from(["all", "quorum"]),
    seed=st.integers(-(2**63), 2**63 - 1),
    strategy=st.builds(
        lambda lr, rate: {"kind": "fedavg", "server_lr": rate, "local": {"lr": lr}},
        st.floats(1e-9, 1e9),
        st.floats(0, 1e9),
    ),
    evaluation=st.builds(Evaluation, central_every=st.integers(0, 9), federated=st.booleans()),
    commit_every=st.one_of(st.just("auto"), st.integers(1, 50)),
)


@given(plans)
def test_a_plan_comes_back_from_yaml_as_it_was(settings):
    plan = Plan(**settings)
    assert Plan.from_yaml(plan.to_yaml()) == plan
    assert Plan.from_yaml(plan.to_yaml()).hash == plan.hash


@given(plans, st.integers(1, 10_000))
def test_the_hash_tells_plans_apart(settings, rounds):
    plan = Plan(**settings)
    assert (plan.replace(rounds=rounds).hash == plan.hash) == (plan.rounds == rounds)
