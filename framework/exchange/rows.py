"""Rows: tensors of another format and ours that hold the same numbers in another arrangement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """Says that the rows of some tensors, one after the other, are the rows of some of ours.

    Args:
        theirs: Shapes by name, in the other format.
        ours: Shapes by name, in a checkpoint of ours.
        transposed: Whether theirs have columns for rows.
    """

    theirs: dict[str, Shape]
    ours: dict[str, Shape]
    transposed: bool = False

    def to_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Arranges their tensors as ours; types that differ are widened to one that holds both."""
        parts = [tensors[name] for name in self.theirs]
        whole = _stack([part.T if self.transposed else part for part in parts])
        return _cut(whole, self.ours)

    def to_theirs(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Arranges our tensors as theirs."""
        whole = _stack([tensors[name] for name in self.ours])
        if not self.transposed:
            return _cut(whole, self.theirs)
        flipped = {name: (shape[1], shape[0]) for name, shape in self.theirs.items()}
        return {name: part.T.contiguous() for name, part in _cut(whole, flipped).items()}


def check(owner: str, rows: Iterable[Rows], tensors: Mapping[str, Tensor]) -> None:
    """Checks that a format has exactly these tensors, of its shapes.

    Args:
        owner: Where they come from, for the message.
        rows: What the format has.
        tensors: What there is.

    Raises:
        ValueError: If a name is unknown or missing, a shape differs, or numbers are no floats.
    """
    expected = {name: shape for row in rows for name, shape in row.theirs.items()}
    faults = [f"it has a tensor {name}, which is unknown" for name in tensors.keys() - expected]
    faults += [f"the tensor {name} is missing" for name in expected if name not in tensors]
    for name in expected.keys() & tensors.keys():
        found = tensors[name]
        if tuple(found.shape) != expected[name]:
            wanted = list(expected[name])
            faults.append(f"the tensor {name} has shape {list(found.shape)}, not {wanted}")
        elif not found.is_floating_point() or found.layout != torch.strided:
            faults.append(f"the tensor {name} holds {found.dtype}, not plain floats")
    if faults:
        faults.sort(key=lambda fault: ("unknown" not in fault, "missing" not in fault, fault))
        more = f" (and {len(faults) - 1} more differences)" if len(faults) > 1 else ""
        raise ValueError(f"{owner}: {faults[0]}{more}; its configuration describes another model.")


def _stack(parts: list[Tensor]) -> Tensor:
    dtype = reduce(torch.promote_types, (part.dtype for part in parts))
    return torch.cat([part.to(dtype) for part in parts])


def _cut(whole: Tensor, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Cuts rows into tensors that share no memory, so that each is saved alone."""
    sizes = [shape[0] for shape in shapes.values()]
    parts = torch.split(whole, sizes)
    return {name: part.clone() for name, part in zip(shapes, parts, strict=True)}
