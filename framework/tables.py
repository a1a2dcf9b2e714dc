"""Aligned tables for the terminal, and how their numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence


def table(title: str, rows: Sequence[Sequence[str]]) -> str:
    """Formats a table: header in the first row, first column aligned left, the others right.

    Args:
        title: A line above the table.
        rows: Cells, all rows of one length.

    Returns:
        The table, with an empty line before it.

    Example:
        >>> print(table("Fruit", [["name", "count"], ["apple", "12"], ["fig", "3"]]))
        <BLANKLINE>
        Fruit
        name   count
        ────────────
        apple     12
        fig        3
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join(["", title, lines[0], rule, *lines[1:]])


def plus_minus(mean: float, deviation: float) -> str:
    """Writes mean ± deviation, to the second digit of the deviation.

    Example:
        >>> plus_minus(1363.24, 166.3), plus_minus(3.4871, 0.3391), plus_minus(500.0, 0.0)
        ('1363 ± 166', '3.49 ± 0.34', '500')
    """
    if not 0 < deviation < math.inf:  # nan, too
        return f"{mean:,.0f}" if mean.is_integer() else f"{mean:.4g}"  # numbers of things
    digits = max(0, 1 - math.floor(math.log10(deviation)))
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"
