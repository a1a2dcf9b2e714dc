"""How outputs of a Fourier head are read: coefficients, then logits of atoms and of specials."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from components.distributions import (
    CategoricalWithAtoms,
    CategoricalWithSpecials,
    Discrete,
    EvenFourierCells,
    EvenFourierDensity,
    FourierCategorical,
    FourierCells,
    FourierDensity,
    FourierHistogram,
    TransformedFourier,
    WithAtoms,
)
from components.distributions.fourier.warps import WarpFactory
from components.distributions.vectors import joint
from components.numbers import count, number, numbers
from components.supports import Bins, Interval, Support, Tokens

Atoms = str | Sequence[float] | None
"""`bounds`, outcomes, or none."""


class Reading(NamedTuple):
    """How to read outputs `[..., 2(N + 1) + L]`."""

    distribution: Callable[[Tensor], Distribution]
    logits: tuple[float, ...]  # initial values of the L outputs after the coefficients


def reading(
    cells: Support,
    eps: float,
    mass: str,
    specials: int,
    warp: WarpFactory | None,
    ends: str,
    atoms: Atoms,
) -> Reading:
    """Chooses how outputs are read, and checks the options of a `FourierHead`.

    Args:
        cells: What is predicted: tokens or bins, or an interval for a density.
        eps: Added to the probability of every cell.
        mass: `center` or `exact`.
        specials: Number of tokens outside the order.
        warp: Makes the map for outcomes without bounds.
        ends: `periodic` or `even`.
        atoms: Outcomes with a mass of their own.

    Raises:
        ValueError: If options are unknown, contradict each other or do not suit what is predicted.
    """
    _require(mass in ("center", "exact"), f"mass={mass!r} is neither 'center' nor 'exact'")
    _require(ends in ("periodic", "even"), f"ends={ends!r} is neither 'periodic' nor 'even'")
    eps = number(eps, "FourierHead: eps")
    _require(0 <= eps < math.inf, f"eps={eps} is added to probabilities; use 0 or more")
    specials = count(specials, "FourierHead: specials")
    even = ends == "even"
    match cells:
        case Interval():
            _require(eps == 0, f"eps={eps} is for cells, and a density has none; give bins")
            _require(mass == "center", f"mass={mass!r} is for cells, of which there are none")
            _require(specials == 0, f"specials={specials} are tokens, and an Interval has none")
            _require(not (warp and even), "a warp leaves no ends to be even; drop warp or ends")
            values = _values(atoms, cells)
            base = _base(cells, warp, even)
            bounds = (-math.inf, math.inf) if warp else (cells.low, cells.high)
            read = partial(_density, interval=cells, base=base, atoms=values, bounds=bounds)
            return Reading(read, _start(values))
        case Bins():
            _require(warp is None, "warp is for a density without cells; drop it or bins")
            _require(specials == 0, f"specials={specials} are tokens, and Bins have none")
            edges = cells.edges
        case Tokens(size):
            _require(warp is None, f"warp is for an Interval, got Tokens(size={size}); drop it")
            _require(0 <= specials < size, f"specials={specials} must leave some of {size} tokens")
            edges = tuple(map(float, range(size - specials + 1)))
    places = _places(atoms, cells, specials)
    of_specials = (*(0.0,) * specials, math.log(len(edges) - 1)) if specials else ()
    ordered = _ordered(edges, mass, eps, even)
    return Reading(
        partial(_over_cells, cells=cells, specials=specials, ordered=ordered, atoms=places),
        (*_start(places), *of_specials),  # at first all tokens are equally likely
    )


def _base(
    interval: Interval, warp: WarpFactory | None, even: bool
) -> Callable[[Tensor], Distribution]:
    """Chooses the density: between the bounds, or on the line in units of the interval."""
    low, high = interval.low, interval.high
    if warp is None:
        return partial(EvenFourierDensity if even else FourierDensity, low=low, high=high)
    middle, half_width = (low + high) / 2, (high - low) / 2
    return partial(TransformedFourier, warp=warp(), loc=middle, scale=half_width)


def _density(
    outputs: Tensor,
    interval: Interval,
    base: Callable[[Tensor], Distribution],
    atoms: tuple[float, ...],
    bounds: tuple[float, float],
) -> Distribution:
    """Makes a density, with atoms if there are any; values beyond the bounds count as these."""
    coefficients, logits = _split(outputs, len(atoms) and len(atoms) + 1)
    distribution = base(coefficients)
    if atoms:
        distribution = WithAtoms(distribution, logits, atoms, *bounds)
    return joint(distribution, interval.shape)


def _ordered(
    edges: tuple[float, ...], mass: str, eps: float, even: bool
) -> Callable[[Tensor], Discrete]:
    """Chooses the distribution over ordered cells between edges."""
    if even:
        mirrored = (2 * edges[0] - edge for edge in reversed(edges[1:]))
        circle = _circle((*mirrored, *edges), mass, eps / 2)
        return partial(_folded, circle=circle)
    return _circle(edges, mass, eps)


def _circle(edges: tuple[float, ...], mass: str, eps: float) -> Callable[[Tensor], FourierCells]:
    if mass == "exact":
        return partial(FourierHistogram, edges=edges, eps=eps)
    return partial(FourierCategorical, size=len(edges) - 1, eps=eps)


def _folded(coefficients: Tensor, circle: Callable[[Tensor], FourierCells]) -> Discrete:
    return EvenFourierCells(circle(coefficients))


def _over_cells(
    outputs: Tensor,
    cells: Tokens | Bins,
    specials: int,
    ordered: Callable[[Tensor], Discrete],
    atoms: tuple[int, ...],
) -> Distribution:
    """Makes a distribution over cells, with atoms and special tokens if there are any."""
    outputs, of_specials = _split(outputs, specials and specials + 1)
    coefficients, of_atoms = _split(outputs, len(atoms) and len(atoms) + 1)
    discrete = ordered(coefficients)
    if atoms:
        discrete = CategoricalWithAtoms(of_atoms, discrete, atoms)
    if specials:
        discrete = CategoricalWithSpecials(of_specials, discrete)
    return cells.distribution(discrete, outputs.device)


def _split(outputs: Tensor, last: int) -> tuple[Tensor, Tensor]:
    """Splits off the last outputs."""
    first = outputs.shape[-1] - last
    return outputs[..., :first], outputs[..., first:]


def _start(atoms: tuple[float, ...]) -> tuple[float, ...]:
    """Initial logits: each atom is as likely as all other outcomes together."""
    return (0.0,) * (len(atoms) and len(atoms) + 1)


def _values(atoms: Atoms, interval: Interval) -> tuple[float, ...]:
    """Returns the values of the atoms of a density."""
    values = (interval.low, interval.high) if _are_bounds(atoms) else _listed(atoms)
    bad = [value for value in values if not interval.low <= value <= interval.high]
    _require(not bad, f"atoms={bad} lie outside [{interval.low}, {interval.high}]; drop them")
    return values


def _places(atoms: Atoms, cells: Tokens | Bins, specials: int) -> tuple[int, ...]:
    """Returns the ordered cells that hold the atoms."""
    count = cells.size - specials
    match cells:
        case Bins():
            values = _values(atoms, cells.interval)
            index = cells.index(torch.tensor(values, dtype=torch.float32, device="cpu"))
            found = tuple(index.tolist())
        case Tokens():
            tokens = (specials, cells.size - 1) if _are_bounds(atoms) else _listed(atoms)
            bad = [t for t in tokens if not specials <= t < cells.size or t != int(t)]
            _require(
                not bad,
                f"atoms={bad} are none of the ordered tokens {specials} to "
                f"{cells.size - 1}; drop them",
            )
            found = tuple(int(token) - specials for token in tokens)
    _require(
        all(a < b for a, b in pairwise(found)),
        f"atoms={atoms!r} fall into the cells {list(found)} of {count}, each of which has one "
        "mass; use fewer atoms or more cells",
    )
    return found


def _are_bounds(atoms: Atoms) -> bool:
    return isinstance(atoms, str) and atoms == "bounds"


def _listed(atoms: Atoms) -> tuple[float, ...]:
    """Returns outcomes that are listed, increasing; none where `atoms` is None."""
    if atoms is None:
        return ()
    _require(not isinstance(atoms, str), f"atoms={atoms!r} is neither 'bounds' nor a list")
    values = tuple(map(float, numbers(atoms, "FourierHead: atoms")))
    _require(bool(values), "atoms=[] names no outcome; drop it, or use atoms=bounds")
    increasing = all(a < b for a, b in pairwise(values))
    _require(increasing, f"atoms={list(values)} do not increase; sort them, each once")
    return values


def _require(fits: bool, problem: str) -> None:
    if not fits:
        raise ValueError(f"FourierHead: {problem}.")
