"""Studies: many runs for one table, over seeds, beside published numbers."""

from framework.studies.paired import PairedArms
from framework.studies.results import Published, Result, read, summary, write
from framework.studies.study import Study
from framework.studies.toy import ToyTable
from framework.studies.variants import Variants

__all__ = [
    "PairedArms",
    "Published",
    "Result",
    "Study",
    "ToyTable",
    "Variants",
    "read",
    "summary",
    "write",
]
