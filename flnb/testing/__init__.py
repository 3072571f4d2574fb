"""Suites that authors of plug-ins inherit: a rule, a strategy, a store.

Subclass a suite in your own tests and give it one fixture; it brings the tests that flnb's own
plug-ins pass. Nothing here is imported by flnb itself. Read `rules.py` first; it is the shortest.
"""

from flnb.testing.rules import RuleSuite
from flnb.testing.stores import StoreSuite
from flnb.testing.strategies import StrategySuite

__all__ = ["RuleSuite", "StoreSuite", "StrategySuite"]
