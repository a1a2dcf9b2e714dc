"""Expandable: distributions whose rows can be repeated, as torch's own can."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.types import _size


class Expandable(Distribution):
    """A distribution that is expanded by its parameters, without copying them.

    `rows` names the attributes, tensors or distributions, whose first axes are the batch; all
    others are the same for all rows, but for what properties have kept.

    torch validates what its distributions are made of, and waits for a GPU to do so; so ours are
    made without `validate_args`, also by heads, at every step. In its place, scales and levels
    that none can be are an error on a CPU, as outcomes are that are not possible; other devices
    and compiled code do not wait for that. NaN passes: what a row of NaN gives is NaN.
    """

    rows: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """Returns the class and the shapes, with what it is made of where that has its own."""
        parts = (getattr(self, name) for name in self.rows)
        inner = [repr(part) for part in parts if isinstance(part, Distribution)]
        shapes = [f"batch_shape: {self.batch_shape}", f"event_shape: {self.event_shape}"]
        return f"{type(self).__name__}({', '.join([*inner, *shapes])})"

    def expand(self, batch_shape: _size, _instance: Any = None) -> Self:
        """Makes the same distribution of a batch shape to which its own can be broadcast.

        Args:
            batch_shape: The new batch shape.
            _instance: What torch passes from subclasses of its own; it is not used.

        Raises:
            NotImplementedError: If the class does not say what its rows are.
        """
        if not self.rows:
            raise NotImplementedError(f"{type(self).__name__} does not name its `rows`.")
        shape, before = torch.Size(batch_shape), len(self.batch_shape)
        made = type(self).__new__(type(self))
        for name, value in vars(self).items():
            if name in self.rows:
                made.__dict__[name] = (
                    value.expand(shape + value.shape[before:])
                    if isinstance(value, Tensor)
                    else value.expand(shape)
                )
            elif name == "_validate_args" or not _is_computed(type(self), name):
                made.__dict__[name] = value
        made._batch_shape = shape
        return made


def _is_computed(kind: type, name: str) -> bool:
    """Returns whether an attribute keeps what a property of the class has computed."""
    return any(name in vars(each) for each in kind.__mro__)
