"""Who takes part in a round.

Here are the ways to draw a cohort from a population, one in each file. Not here: who is in the
population, which is the business of `flnb.engines`, and what happens to a cohort (`flnb.rounds`).
Read `sampler.py` first.
"""

from flnb.sampling.everybody import Everybody
from flnb.sampling.fixed_size import FixedSize
from flnb.sampling.poisson import Poisson
from flnb.sampling.sampler import Sampler, sampler_for

__all__ = ["Everybody", "FixedSize", "Poisson", "Sampler", "sampler_for"]
