"""Engines: how many simulated clients take part, in this process or in workers.

Here is where clients of a cohort run and in which order they seem to answer; how one client
trains is in `training`, how rounds go in `rounds`. Both engines share everything but the place
where work is done, and give the same bits. Read `simulated.py` first, then `sequential.py`, then
`process.py`.
"""

from flnb.engines.behaviour import Behaviour
from flnb.engines.choose import engine_for, usable_cores
from flnb.engines.process import ProcessEngine
from flnb.engines.sequential import SequentialEngine

__all__ = ["Behaviour", "ProcessEngine", "SequentialEngine", "engine_for", "usable_cores"]
