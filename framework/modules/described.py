"""Modules whose checkpoints describe them: they are rebuilt without a recipe, for any strategy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from lightning.pytorch import LightningModule

from framework.checkpoints import compare, require_no_nan
from framework.class_checks import checked
from framework.data import position
from framework.data.module import PredictiveData
from framework.data.protocols import KeepsState
from framework.importing import foreign
from framework.modules.construction import describe_module
from framework.optimization import by_name, by_number, numbering

BLOCKED = r"The class '(.+)' requested by the checkpoint does not resolve to"
"""How Lightning begins to say that a checkpoint names no class derived from the one that loads."""


class DescribedModule(LightningModule):
    """Stores in checkpoints how it was made and what its data are, and checks what it loads.

    A class derived from it saves its arguments as hyper-parameters, and sets `_matrices` and
    `_kinds` when its parameters are there.
    """

    _matrices: frozenset[str]  # names of the parameters to which weight decay is applied

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[str, type] = {}  # of the parts that were built, by name

    @property
    def data(self) -> Any:
        """The data module of the run."""
        return self.trainer.datamodule  # type: ignore[attr-defined]  # set from outside

    def setup(self, stage: str) -> None:
        """Describes a module that was built in Python, for its checkpoints.

        Raises:
            ValueError: If a factory has no name that a checkpoint could hold, or another part is
                to be trained than was built.
        """
        if stage == "fit":
            self._require_built_parts()
        if "_instantiator" not in self.hparams:
            self.save_hyperparameters(self.described(), logger=False)

    def _require_built_parts(self) -> None:
        """Refuses parts that were put in the place of others, which a checkpoint does not name."""
        for name, kind in self._kinds.items():
            part = self._modules.get(name)  # None where a plan took it away: it is built again
            if part is not None and not isinstance(part, kind):
                owner, other = type(self).__name__, type(part).__name__
                raise ValueError(
                    f"{owner}: its {name} is a {other} in the place of the {kind.__name__} that "
                    f"it was built with, so that its checkpoints could not be loaded; make a new "
                    f"{owner} with {name}={other} and initialization=Weights(checkpoint)."
                )

    def described(self) -> Mapping[str, Any]:
        """Returns the class and the options that a checkpoint holds, as plain data."""
        if "_instantiator" in self.hparams:
            return self.hparams
        return describe_module(type(self), self.hparams_initial)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores optimizer states by parameter name, which is the same for any strategy.

        Drops `initialization`: the parameters are stored, and a file that it reads may be gone.
        Adds what the model needs to read other data.
        """
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY]["initialization"] = None
        grouped = self.trainer.strategy.lightning_restore_optimizer
        names = numbering(self, self._matrices) if grouped else list(dict(self.named_parameters()))
        states = checkpoint.get("optimizer_states", [])
        states[:] = [by_name(state, names) for state in states]
        if isinstance(self.data, KeepsState):
            self.data.store(checkpoint)
        if isinstance(self.data, PredictiveData) and self.trainer.state.fn == "fit":
            checkpoint[position.NOTE] = position.record(self.data)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the description, if the checkpoint built this module; numbers optimizer states."""
        if self._trainer is None:
            options = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, self.hparams)
            self.save_hyperparameters(describe_module(type(self), options), logger=False)
        elif isinstance(self.data, KeepsState):
            self.data.require(checkpoint)
            if isinstance(self.data, PredictiveData) and self.trainer.state.fn == "fit":
                position.require(checkpoint.get(position.NOTE), self.data)
        states = checkpoint.get("optimizer_states", [])
        states[:] = [by_number(state, numbering(self, self._matrices)) for state in states]

    @classmethod
    def load_from_checkpoint(cls, *args: Any, **options: Any) -> Self:
        """Loads as Lightning does, but imports and calls only what a checkpoint may name.

        Args:
            args: The path, and what else Lightning takes.
            options: Arguments of the constructor that replace those of the checkpoint.

        Raises:
            ValueError: If the checkpoint holds a module of another class.
        """
        try:
            with foreign(), checked():
                loaded: Self = super().load_from_checkpoint(*args, **options)
        except ValueError as error:
            if (other := re.match(BLOCKED, str(error))) is None:
                raise
            raise ValueError(
                f"{cls.__name__}: the checkpoint holds a module of another class, {other[1]}; "
                "load it with framework.load_module, which finds the class."
            ) from error
        return loaded

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Loads parameters.

        Raises:
            ValueError: If they are those of another architecture, or NaN.
        """
        if strict:
            compare(type(self).__name__, self.state_dict(), state_dict)
        require_no_nan(type(self).__name__, state_dict)
        return super().load_state_dict(state_dict, strict, assign)
