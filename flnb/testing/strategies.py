# ruff: noqa: D102  the names of the tests are their sentences
"""What every strategy must do, as a suite to inherit.

    class TestMyStrategy(StrategySuite):
        @pytest.fixture
        def config(self):
            return MyStrategy(server_lr=0.1)

The suite plays rounds on a small model with half precision, floating buffers and a counter. It
never trains: the client half is only looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from flnb.core import Plan, StrategyConfig, strategy_registry
from flnb.core.errors import IntegrityError
from flnb.tensors import Layout, Model, Update, aligned, pack, round_halves, unpack
from flnb.testing.rules import SAMPLE_LAYOUT, padding, sample_updates, summed


@dataclass
class Played:
    """A strategy after some rounds."""

    strategy: Any
    state: Any
    model: Model

    def round(self, number: int, order: int = 1) -> Played:
        """Play one more round; `order` -1 takes the updates from the last to the first."""
        updates = sample_updates(6, seed=number)[::order]
        return self.take(self.strategy.rule.combine(summed(updates, self.strategy.rule)))

    def take(self, update: Update) -> Played:
        """Apply one aggregated update."""
        return Played(self.strategy, *self.strategy.server.apply(self.state, self.model, update))

    @property
    def bits(self) -> tuple[str, bytes]:
        """Everything, to compare to the last bit."""
        return self.model.sha256(), pack(self.state).tobytes()


def started(config: StrategyConfig) -> Played:
    """Put a strategy together and give it a model."""
    strategy = config.compose()
    values = sample_updates(1, seed=99, scale=1000.0)[0].values.copy()
    round_halves(SAMPLE_LAYOUT, values)
    model = Model(SAMPLE_LAYOUT, values, aligned(SAMPLE_LAYOUT.n_integers, np.int64))
    return Played(strategy, strategy.server.init(SAMPLE_LAYOUT), model)


class StrategySuite:
    """Inherit and supply the fixture `config`."""

    @pytest.fixture
    def config(self) -> StrategyConfig:
        """Settings of the strategy under test."""
        raise NotImplementedError("a StrategySuite needs a fixture named `config`")

    def test_it_is_found_by_its_name(self, config: StrategyConfig) -> None:
        assert strategy_registry.find(config.kind) is type(config)

    def test_a_plan_with_it_survives_yaml(self, config: StrategyConfig) -> None:
        plan = Plan(strategy=config)
        assert Plan.from_yaml(plan.to_yaml()) == plan

    def test_client_half_is_named_and_composing_is_repeatable(self, config: StrategyConfig) -> None:
        strategy = config.compose()
        assert re.fullmatch(r"[\w.]+:\w+", strategy.half.entry)
        assert strategy.stages
        assert strategy == config.compose()

    def test_same_rounds_give_the_same_bits(self, config: StrategyConfig) -> None:
        one, other = (started(config).round(1).round(2).bits for _ in range(2))
        assert one == other

    def test_order_of_arrival_does_not_change_a_bit(self, config: StrategyConfig) -> None:
        forward = started(config).round(1).round(2)
        backward = started(config).round(1, order=-1).round(2, order=-1)
        assert forward.bits == backward.bits

    def test_state_survives_a_commit(self, config: StrategyConfig) -> None:
        before = started(config).round(1).round(2)
        fresh = before.strategy.server.init(SAMPLE_LAYOUT)
        restored = Played(before.strategy, unpack(fresh, pack(before.state)), before.model)
        assert restored.bits == before.bits
        assert restored.round(3).bits == before.round(3).bits

    def test_apply_changes_none_of_its_arguments(self, config: StrategyConfig) -> None:
        before = started(config).round(1)
        update = before.strategy.rule.combine(
            summed(sample_updates(4, seed=5), before.strategy.rule)
        )
        was = (before.bits, update.values.tobytes(), update.integers.tobytes())
        after = before.take(update)
        assert (before.bits, update.values.tobytes(), update.integers.tobytes()) == was
        assert after.bits != before.bits

    def test_a_first_round_without_change_leaves_the_model(self, config: StrategyConfig) -> None:
        before = started(config)
        zero = aligned(SAMPLE_LAYOUT.n_values, np.float32)
        after = before.take(Update(SAMPLE_LAYOUT, zero, before.model.integers))
        assert after.model.sha256() == before.model.sha256()

    def test_floating_buffers_take_the_mean_and_counters_the_value(
        self, config: StrategyConfig
    ) -> None:
        before = started(config).round(1)
        (update,) = sample_updates(1, seed=3)
        after = before.take(update).model
        name = "norm.running_mean"
        assert np.array_equal(after.tensor(name), before.model.tensor(name) + update.tensor(name))
        assert np.array_equal(after.integers, update.integers)

    def test_layout_padding_and_half_precision_stay(self, config: StrategyConfig) -> None:
        model = started(config).round(1).round(2).model
        rounded = model.values.copy()
        round_halves(SAMPLE_LAYOUT, rounded)
        assert model.layout == SAMPLE_LAYOUT
        assert not model.values[padding(SAMPLE_LAYOUT)].any()
        assert model.values.tobytes() == rounded.tobytes()

    def test_parameters_move_with_the_clients(self, config: StrategyConfig) -> None:
        before = started(config)
        push = aligned(SAMPLE_LAYOUT.n_values, np.float32)
        slot = SAMPLE_LAYOUT.slot("dense.weight")
        push[slot.span] = 0.5
        after = before.take(Update(SAMPLE_LAYOUT, push, before.model.integers))
        moved = after.model.tensor("dense.weight") - before.model.tensor("dense.weight")
        assert np.all(moved > 0.0)

    def test_an_update_of_another_layout_is_refused(self, config: StrategyConfig) -> None:
        other = Layout.of([("dense.weight", (5, 7), "float32", "parameter")])
        update = Update(other, aligned(other.n_values, np.float32), aligned(0, np.int64))
        with pytest.raises(IntegrityError, match=r"dense\.weight"):
            started(config).take(update)
