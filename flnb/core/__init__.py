"""Words that everybody uses: plan, messages, errors, seeds, clock, ports.

Here is what the other rooms share and nothing that trains, stores or draws. Read `plan.py` first,
then `messages.py` and `ports.py`.
"""

from flnb.core.clock import SYSTEM_CLOCK, Clock, SystemClock
from flnb.core.config import Frozen
from flnb.core.guards import Guard
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import ClientHalf, CohortReport, MetricSum, Outcome, TaskSummary, Work
from flnb.core.plan import Evaluation, Local, Plan, StrategyConfig, strategy_registry
from flnb.core.ports import Participants, Rule, ServerOptimiser
from flnb.core.seeds import SecretRoot, derive, generator
from flnb.core.view import Phase, RoundRow, RunView, Status

__all__ = [
    "SYSTEM_CLOCK",
    "ClientHalf",
    "ClientId",
    "Clock",
    "CohortReport",
    "Evaluation",
    "Frozen",
    "Guard",
    "Local",
    "MetricSum",
    "Outcome",
    "Participants",
    "Phase",
    "Plan",
    "RoundRow",
    "Rule",
    "RunId",
    "RunView",
    "SecretRoot",
    "ServerOptimiser",
    "Status",
    "StrategyConfig",
    "SystemClock",
    "TaskSummary",
    "Work",
    "derive",
    "generator",
    "strategy_registry",
]
