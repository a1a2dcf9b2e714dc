"""Studies: many runs for one table, over seeds, beside published numbers."""

from framework.studies.results import Published, Result, read, summary, write
from framework.studies.study import Study
from framework.studies.variants import Variants

__all__ = [
    "Published",
    "Result",
    "Study",
    "Variants",
    "read",
    "summary",
    "write",
]
