"""Tunings: which parameters of a pretrained model are trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import nn


class Tuning(ABC):
    """A way to train a pretrained model."""

    @abstractmethod
    def apply(self, model: nn.Module) -> None:
        """Prepares a model in place; only parameters to be trained keep `requires_grad`."""


class TuningFactory(Protocol):
    """Builds a tuning."""

    def __call__(self) -> Tuning:
        """Builds it."""
        ...


class Full(Tuning):
    """Trains every parameter."""

    def apply(self, model: nn.Module) -> None:
        """Leaves the model as it is."""


class Frozen(Tuning):
    """Trains no parameter."""

    def apply(self, model: nn.Module) -> None:
        """Freezes all parameters."""
        model.requires_grad_(False)


class LowRank(Tuning):
    r"""Freezes the model and trains low-rank additions to some of its matrices (LoRA).

    .. math:: W x + \frac{\alpha}{r} B A x

    A has shape `[r, width of x]` and starts random, B starts at zero, so that training starts at
    the pretrained model. Needs `pip install 'overtone[lora]'`.

    Args:
        rank: Rank r, at least 1.
        alpha: Scale; the additions are multiplied by alpha / rank.
        dropout: Probability to drop an input of the additions in training.
        targets: Names of the linear maps that get one; the default are queries and values of
            Llama and similar models.

    Raises:
        ValueError: If peft is missing, an option is out of its range, or there is no such map.

    Source: Hu et al., "LoRA" (arXiv:2106.09685), section 4.1; defaults are those of the recipes
        published with Llama.
    """

    def __init__(
        self,
        rank: int = 8,
        alpha: float = 32,
        dropout: float = 0.05,
        targets: Sequence[str] = ("q_proj", "v_proj"),
    ) -> None:
        if rank < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"LowRank: rank={rank}, dropout={dropout} train nothing; use a rank of at least 1 "
                "and a dropout in [0, 1)."
            )
        self.rank, self.alpha, self.dropout, self.targets = rank, alpha, dropout, list(targets)

    def apply(self, model: nn.Module) -> None:
        """Freezes all parameters and adds those that are trained, within the blocks."""
        try:
            import peft
        except ImportError as error:
            raise ValueError(
                "LowRank needs the package peft; run `pip install 'overtone[lora]'`."
            ) from error
        named = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        if missing := [target for target in self.targets if target not in named]:
            raise ValueError(
                f"LowRank: the model has no module called {missing[0]!r} to add to; choose "
                f"targets={self.targets} among {sorted(_linear(model))}."
            )
        options = {"r": self.rank, "lora_alpha": self.alpha, "lora_dropout": self.dropout}
        config = peft.LoraConfig(target_modules=self.targets, **options)
        model.requires_grad_(False)
        peft.inject_adapter_in_model(config, model)
        for parameter in model.parameters():
            if parameter.requires_grad:  # peft gives them the dtype of the weights
                parameter.data = parameter.data.to(torch.get_default_dtype())


def leave_out_frozen(module: nn.Module) -> None:
    """Leaves frozen parameters out of the state dict; they keep their values when it is loaded.

    So checkpoints of a large model with few trained parameters are small.
    """
    hooked: Any = module  # torch declares no types for its hooks
    hooked.register_state_dict_post_hook(_drop)
    hooked.register_load_state_dict_pre_hook(_fill_in)


def _drop(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            state.pop(prefix + name, None)


def _fill_in(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            state.setdefault(prefix + name, parameter)


def _linear(model: nn.Module) -> set[str]:
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    return {name.rpartition(".")[2] for name in linear}
