"""Aligned tables for the terminal."""

from __future__ import annotations

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
