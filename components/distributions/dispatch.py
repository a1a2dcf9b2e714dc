"""Functions of distributions with one formula per class, which know units and vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch, update_wrapper
from typing import Any, TypeVar

from torch import Tensor
from torch.distributions import Distribution

from components.distributions.affine import Affine
from components.distributions.vectors import add_components, components_of

Formula = TypeVar("Formula", bound=Callable[..., Tensor])


class Functional:
    """A function of distributions: dispatches on their class, below units and vectors.

    Formulas are registered for distributions of single outcomes in their own units. A distribution
    in other units (`Affine`) is measured as its base is, of outcomes in the units of the base, and
    the value is converted. Of a vector (`Independent`) the values of its components are joined.

    Args:
        formula: Computes values `[...]` of a distribution of batch shape `[...]`, and of outcomes
            `[...]` if it takes any, where no formula is registered for its class. It may take
            options by name, which no unit changes.
        convert: Converts a value for the base of an `Affine` to the units of the `Affine`.
        join: Turns values of components, `[..., *shape]`, into those of vectors of a distribution.
    """

    def __init__(
        self,
        formula: Callable[..., Tensor],
        convert: Callable[[Tensor, Affine], Tensor],
        join: Callable[[Tensor, Distribution], Tensor],
    ) -> None:
        update_wrapper(self, formula)
        self._formula, self._convert, self._join = singledispatch(formula), convert, join

    def __call__(self, distribution: Distribution, *outcomes: Tensor, **options: Any) -> Tensor:
        """Computes values `[...]` of a distribution, and of outcomes `[..., *shape]` if any."""
        values = self._of_each(components_of(distribution), *outcomes, **options)
        return self._join(values, distribution)

    def register(self, formula: Formula) -> Formula:
        """Registers a formula for the classes that annotate its first argument."""
        self._formula.register(formula)
        return formula

    def _of_each(self, distribution: Distribution, *outcomes: Tensor, **options: Any) -> Tensor:
        if isinstance(distribution, Affine):
            standardized = (distribution.standardize(outcome) for outcome in outcomes)
            value = self._of_each(distribution.base, *standardized, **options)
            return self._convert(value, distribution)
        return self._formula(distribution, *outcomes, **options)


def functional(
    convert: Callable[[Tensor, Affine], Tensor] = lambda value, _: value,
    join: Callable[[Tensor, Distribution], Tensor] = add_components,
) -> Callable[[Callable[..., Tensor]], Functional]:
    """Makes a `Functional` of the formula for distributions that have none of their own.

    Args:
        convert: How values change with the units of the outcome; by default they do not.
        join: What becomes of the values of components of a vector; by default they are added.
    """
    return lambda formula: Functional(formula, convert, join)
