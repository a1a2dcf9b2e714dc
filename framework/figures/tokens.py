"""Draws the next-token distribution of a language model, beside the actual token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from torch import Tensor

from framework.figures.style import PREDICTED, TRUTH, array, grid, label

FONT = "DejaVu Sans Mono"  # comes with matplotlib
CONTEXT_CHARACTERS = 34  # width of a panel


def draw_next_tokens(
    tokens: Tensor,
    probs: Tensor,
    target: Tensor,
    positions: Sequence[int],
    decode: Callable[[list[int]], str],
    top: int = 7,
) -> Figure:
    """Draws the most likely next tokens at some positions of a text, and marks the actual one.

    Args:
        tokens: Tokens that the model read, `[T]`.
        probs: Predicted probabilities at the chosen positions, `[N, V]`.
        target: The actual next token of each, `[T]`.
        positions: The N positions to show.
        decode: Turns token ids into text.
        top: Number of most likely tokens to list; the actual one is added if missing.

    Returns:
        A figure with one panel of horizontal bars per position.
    """
    figure, panels = grid(len(positions), columns=3, width=3.6, height=2.5)
    for axes, position, distribution in zip(panels, positions, probs, strict=True):
        _bars(axes, distribution, int(target[position]), decode, top)
        past = decode(tokens[: position + 1].tolist())
        start = "… " if len(past) > CONTEXT_CHARACTERS else ""
        title = f"{start}{_visible(past[-CONTEXT_CHARACTERS:])} ▁"
        label(axes, title, "probability", "next token")
    figure.suptitle(
        "Expected next tokens (blue); the token that came (orange) with its rank", fontsize=11
    )
    return figure


def _bars(
    axes: Axes, distribution: Tensor, came: int, decode: Callable[[list[int]], str], top: int
) -> None:
    order = distribution.argsort(descending=True)
    rank = int(torch.nonzero(order == came)[0, 0])
    listed = order[:top].tolist()
    if came not in listed:
        listed.append(came)
    heights = array(distribution[listed])
    names = [_visible(decode([token])) for token in listed]
    rows = range(len(listed))
    bars = axes.barh(
        rows, heights, color=[TRUTH if token == came else PREDICTED for token in listed]
    )
    row = listed.index(came)
    axes.bar_label(
        bars,
        [f"{p:.2g}" + (f"  (rank {rank + 1})" if k == row else "") for k, p in enumerate(heights)],
        padding=3,
        fontsize=7,
    )
    axes.set_yticks(rows, names, parse_math=False, family=FONT)
    axes.invert_yaxis()
    axes.set_xlim(0, max(0.02, 1.35 * float(heights.max())))


def _visible(text: str) -> str:
    """Makes white space visible, and marks what the font cannot show."""
    font = get_font(findfont(FONT))
    shown = text.replace("\n", "↵").replace("\t", "⇥").replace(" ", "·")
    return "".join(c if font.get_char_index(ord(c)) else "□" for c in shown)
