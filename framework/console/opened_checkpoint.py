"""OpenedCheckpoint: a checkpoint that a verb reads; each part is loaded once, when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from framework.checkpoints import digest, load_parameters, read, recipe_of
from framework.console.errors import UserError
from framework.data.module import PredictiveData
from framework.modules.base import PredictiveModule
from framework.modules.loading import load_module


@dataclass(frozen=True, eq=False)
class OpenedCheckpoint:
    """A checkpoint on the command line.

    Args:
        path: The file, or the folder of a sharded checkpoint.
    """

    path: Path

    @cached_property
    def contents(self) -> Mapping[str, Any]:
        """What the checkpoint holds; of a sharded one, all but the parameters."""
        return read(self.path)

    @cached_property
    def module(self) -> PredictiveModule:
        """The model, for evaluation."""
        return load_module(self.path)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the checkpoint."""
        return digest(self.path)

    @cached_property
    def recipe(self) -> Path:
        """The configuration that was saved with the checkpoint."""
        return recipe_of(str(self.path))

    @property
    def tied(self) -> bool:
        """Whether the model reads out with the vectors of its embedding."""
        return bool(self.contents.get("hyper_parameters", {}).get("tied"))

    def data(self) -> Mapping[str, Any]:
        """Returns the data that the checkpoint was trained on, as its recipe describes them.

        Raises:
            UserError: If the recipe has none.
        """
        data = yaml.safe_load(self.recipe.read_text(encoding="utf-8")).get("data")
        if not data:
            raise UserError(
                f"The recipe {self.recipe} of the checkpoint {str(self.path)!r} names no data; "
                "choose some with --data."
            )
        found: Mapping[str, Any] = data
        return found

    def stored_dtypes(self) -> Mapping[str, Any]:
        """Returns the types of the stored parameters, by name."""
        return {name: value.dtype for name, value in load_parameters(self.path).items()}

    def require_data(self, data: PredictiveData) -> None:
        """Checks that data are of the kind that the checkpoint predicts.

        Raises:
            ValueError: If they are not.
        """
        own = self.module.spec
        if (type(own), own.support) != (type(data.spec), data.spec.support):
            raise ValueError(
                f"The checkpoint {str(self.path)!r} predicts {own.support} of a "
                f"{type(own).__name__}, the data hold {data.spec.support} of a "
                f"{type(data.spec).__name__}; choose the data that it was trained on."
            )

    def folder(self, verb: str) -> Path:
        """Returns the folder beside the checkpoint for what a verb writes about it."""
        return self.path.parent / f"{self.path.stem}-{verb}"
