"""Studies: many runs for one table, over seeds and learning rates, beside published numbers."""

from framework.studies.comparisons import differences, verdict
from framework.studies.rates import ChosenRate
from framework.studies.results import Published, Result, read, summary, write
from framework.studies.same_data import SameData
from framework.studies.study import Study
from framework.studies.variants import Variants

__all__ = [
    "ChosenRate",
    "Published",
    "Result",
    "SameData",
    "Study",
    "Variants",
    "differences",
    "read",
    "summary",
    "verdict",
    "write",
]
