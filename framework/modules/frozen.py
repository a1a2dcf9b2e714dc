"""What an adaptation freezes must have been trained before."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn


def require_copied(parts: nn.ModuleDict, copied: Collection[str]) -> None:
    """Checks that parameters which are not trained were copied from another model.

    Args:
        parts: Stem, backbone and head by name, once they are adapted.
        copied: The names of what was copied.

    Raises:
        ValueError: If one is frozen as it was drawn.
    """
    for name, parameter in parts.named_parameters():
        if not parameter.requires_grad and name not in copied:
            part = name.partition(".")[0]
            remedy = "use the backbone of the model that you start from"
            if part != "backbone":
                remedy = f"let adaptation.trained name the {part}, or start from a model that fits"
            raise ValueError(
                f"The parameter {name} is not that of the model that you start from, and the "
                f"adaptation would freeze it at its initial values; {remedy}."
            )
