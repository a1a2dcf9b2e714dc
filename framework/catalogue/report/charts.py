"""Charts as SVG: lines over steps, and bars; colors come from the page, values from attributes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from framework.catalogue.report.scales import Scale, scale_of, short

WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 8, 30
MOST = 300  # points of a line; more do not show
FEW = 30  # points up to which each is marked
COLORS = 7  # that the page has; then they repeat

CURSOR = Markup('<line class="cursor" y1="{}" y2="{}"/>').format(TOP, HEIGHT - BOTTOM)

Point = tuple[float, float]


class Line(NamedTuple):
    """Values over steps, or other numbers.

    Args:
        name: What the legend says.
        points: Pairs of x and y, in the order of x; a y that is no finite number leaves a gap.
        color: Number of the color of the page.
        faint: Whether it stands behind others, and is not in the legend.
    """

    name: str
    points: Sequence[Point]
    color: int
    faint: bool = False

    @property
    def shade(self) -> int:
        """The color of the page that it has."""
        return self.color % COLORS

    @property
    def last(self) -> str:
        """The last value, as the legend shows it."""
        return f"{self.points[-1][1]:.5g}"


class Chart(NamedTuple):
    """A chart with its title and legend.

    Args:
        title: What is drawn.
        svg: The drawing.
        legend: The lines; none of charts that say it in words.
        note: A sentence below it.
    """

    title: str
    svg: Markup
    legend: Sequence[Line] = ()
    note: str = ""


def line_chart(title: str, lines: Sequence[Line], x: str = "steps", note: str = "") -> Chart:
    """Draws lines; a logarithmic axis where positive values span more than two decades.

    Args:
        title: What the values are.
        lines: The lines, each of at least one point.
        x: What the horizontal axis is.
        note: A sentence below the chart.
    """
    thinned = [line._replace(points=thin(line.points)) for line in lines]
    values = [y for line in lines for _, y in line.points if math.isfinite(y)]
    across = [step for line in lines for step, _ in line.points]
    alone = float(min(across) == max(across))  # a single step has one to either side
    gaps = sum(not math.isfinite(y) for line in lines for _, y in line.points)
    lost = f"{gaps} values are not finite." if gaps else ""
    scale = scale_of(values or [0.0], HEIGHT - BOTTOM, TOP)
    steps = Scale(min(across) - alone, max(across) + alone, LEFT, WIDTH - RIGHT)
    drawn = [_axes(steps, scale, x), *(_line(line, steps, scale) for line in thinned), CURSOR]
    said = " ".join(part for part in (note, lost) if part)
    return Chart(title, _svg(title, drawn), [line for line in lines if not line.faint], said)


def bar_chart(title: str, shares: Sequence[float], even: float, x: str, note: str) -> Chart:
    """Draws shares of equal intervals of [0, 1], and a line at what each should be.

    Args:
        title: What is drawn.
        shares: A share for each interval.
        even: Where the line is.
        x: What the horizontal axis is.
        note: A sentence below the chart.
    """
    scale = Scale(0.0, 1.15 * max(*shares, even), HEIGHT - BOTTOM, TOP)
    across = Scale(0.0, 1.0, LEFT, WIDTH - RIGHT)
    width = (across.end - across.start) / len(shares)
    bars = [
        Markup(
            '<rect class="fill-0" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2">'
            "<title>{:.2f} to {:.2f}: {:.1%}</title></rect>"
        ).format(
            *(across(k / len(shares)) + 1, scale(share), width - 2, scale(0) - scale(share)),
            *(k / len(shares), (k + 1) / len(shares), share),
        )
        for k, share in enumerate(shares)
    ]
    ideal = _straight(across.start, scale(even), across.end, scale(even))
    return Chart(title, _svg(title, [_axes(across, scale, x), *bars, ideal]), (), note)


def diagonal_chart(title: str, points: Sequence[Point], x: str, note: str) -> Chart:
    """Draws a line in the unit square, and the diagonal that it should be."""
    across, scale = Scale(0, 1, LEFT, WIDTH - RIGHT), Scale(0, 1, HEIGHT - BOTTOM, TOP)
    ideal = _straight(across(0), scale(0), across(1), scale(1))
    line = Line("", points, 0)
    parts = [_axes(across, scale, x), ideal, _line(line, across, scale)]
    return Chart(title, _svg(title, parts), (), note)


def thin(points: Sequence[Point], most: int = MOST) -> list[Point]:
    """Keeps the smallest and the largest value of each of `most // 2` parts, and the last point.

    Example:
        >>> thin([(0, 1.0), (1, 9.0), (2, 2.0), (3, 3.0), (4, 2.5), (5, 2.6)], most=2)
        [(0, 1.0), (1, 9.0), (5, 2.6)]
    """
    if len(points) <= most:
        return list(points)
    parts = max(1, most // 2)
    bounds = [len(points) * k // parts for k in range(parts + 1)]
    kept = {len(points) - 1}
    for begin, end in pairwise(bounds):
        kept |= {min(range(begin, end), key=lambda k: _order(points[k][1]))}
        kept |= {max(range(begin, end), key=lambda k: _order(points[k][1]))}
    return [points[k] for k in sorted(kept)]


def _order(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _svg(title: str, parts: Sequence[Markup]) -> Markup:
    opening = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">')
    return opening.format(WIDTH, HEIGHT, title) + Markup("").join(parts) + Markup("</svg>")


def _axes(x: Scale, y: Scale, name: str) -> Markup:
    grid = Markup('<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>')
    beside = Markup('<text class="end" x="{}" y="{:.1f}">{}</text>')
    below = Markup('<text class="middle" x="{:.1f}" y="{}">{}</text>')
    parts = [grid.format(LEFT, WIDTH - RIGHT, y(value)) for value in y.ticks()]
    parts += [beside.format(LEFT - 6, y(value) + 4, short(value)) for value in y.ticks()]
    parts += [below.format(x(value), HEIGHT - BOTTOM + 14, short(value)) for value in x.ticks()]
    parts.append(below.format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, name))
    return Markup("").join(parts)


def _line(line: Line, x: Scale, y: Scale) -> Markup:
    """Draws a line, in parts where values are missing, with its values for the script."""
    shown = [(a, b) for a, b in line.points if math.isfinite(b)]
    path = "".join(_moves(line.points, x, y))
    if line.faint:
        return Markup('<path class="faint stroke-{}" d="{}"/>').format(line.shade, path)
    drawn = Markup('<path class="line stroke-{}" d="{}" data-steps="{}" data-values="{}"/>')
    steps = " ".join(f"{step:.10g}" for step, _ in shown)
    values = " ".join(f"{value:.5g}" for _, value in shown)
    dot = Markup('<circle class="fill-{}" cx="{:.1f}" cy="{:.1f}" r="2.4"/>')
    dots = [dot.format(line.shade, x(a), y(b)) for a, b in shown] if len(shown) <= FEW else []
    return drawn.format(line.shade, path, steps, values) + Markup("").join(dots)


def _moves(points: Sequence[Point], x: Scale, y: Scale) -> Iterator[str]:
    connected = False
    for across, up in points:
        if math.isfinite(up):
            yield f"{'L' if connected else 'M'}{x(across):.1f} {y(up):.1f}"
        connected = math.isfinite(up)


def _straight(x1: float, y1: float, x2: float, y2: float) -> Markup:
    text = '<line class="ideal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'
    return Markup(text).format(x1, y1, x2, y2)
