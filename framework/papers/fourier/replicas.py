"""Replicas: many small models of one shape, trained at once by one optimizer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call, stack_module_state, vmap

from framework.data.module import PredictiveData
from framework.modules.base import PredictiveModule
from framework.modules.objective import counted_target
from framework.schedules import ScheduleFactory


class Replicas:
    """Trains models of one shape side by side, each as if it were alone.

    With small networks most of a step is spent on starting operations. Here each operation works
    on all models together; each model has its own initial weights, examples and order of the
    examples, and follows the trajectory that `lightning fit` would give it. That needs an
    optimizer that works element by element, as SGD and Adam do.

    Args:
        models: The models, built and of equal shapes.
        data: Training data of each model, with equally many examples; may repeat.
        optimizer: The optimizer. Its weight decay is applied to matrices only.
        schedule: The learning rate over the steps.
        steps: Optimizer steps of the run.
        clip: Largest norm of the gradient of a model; no limit if not given.
        masks: Factors `[R, *shape]` of the gradients of some parameters, by name: with 0 a number
            keeps its initial value.

    Raises:
        ValueError: If the data differ in size.
    """

    def __init__(
        self,
        models: Sequence[PredictiveModule],
        data: Sequence[PredictiveData],
        optimizer: OptimizerCallable,
        schedule: ScheduleFactory,
        steps: int,
        clip: float | None = None,
        masks: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.models, self.steps, self.clip, self.masks = models, steps, clip, masks or {}
        self._losses = list(models[0].losses.values())
        networks = [_Network(model) for model in models]
        self.parameters, self._buffers = stack_module_state(networks)
        self._template = networks[0]
        self._distribution = copy.deepcopy(models[0].head)
        self._distribution.projection = nn.Identity()  # it reads projections of all models
        self._batches = _batches(data)
        stacked = list(self.parameters.values())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in stacked if p.ndim > 2]},
            {"params": [p for p in stacked if p.ndim <= 2], "weight_decay": 0.0},
        ]
        self._optimizer = optimizer([group for group in groups if group["params"]])
        self._schedule = schedule(optimizer=self._optimizer, steps=steps)

    def train(self, report: Callable[[int], None] | None = None) -> None:
        """Takes all steps, then writes the weights into the models.

        Args:
            report: Called with the number of each step after it.
        """
        for step in range(1, self.steps + 1):
            self.step()
            if report is not None:
                report(step)
        self.store()

    def step(self) -> None:
        """Takes one step with the next batch of every model."""
        batch = next(self._batches)
        self._optimizer.zero_grad()
        self.losses(batch).sum().backward()  # type: ignore[no-untyped-call]  # torch's
        gradients = {name: p.grad for name, p in self.parameters.items() if p.grad is not None}
        for name, mask in self.masks.items():
            gradients[name].mul_(mask)
        if self.clip is not None:
            _clip(list(gradients.values()), self.clip)
        self._optimizer.step()
        self._schedule.step()

    def predict(self, batch: Any) -> Distribution:
        """Predicts batches of all models, each field `[R, B, ...]`: batch shape `[R, B, T]`."""
        raw = vmap(self._read)(self.parameters, self._buffers, batch)
        prediction: Distribution = self._distribution(raw)
        return prediction

    def losses(self, batch: Any) -> Tensor:
        """Computes the objective of each model, `[R]`."""
        prediction, weight, target = self.predict(batch), batch.weight, counted_target(batch)
        total = torch.zeros(())
        for loss in self._losses:
            values = torch.where(weight > 0, loss(prediction, target), 0) * weight
            total = total + loss.weight * values.flatten(1).sum(1) / weight.flatten(1).sum(1)
        return total

    @torch.no_grad()
    def store(self) -> None:
        """Writes the weights into the models."""
        for index, model in enumerate(self.models):
            for name, parameter in _Network(model).named_parameters():
                parameter.copy_(self.parameters[name][index])

    def _read(self, parameters: Any, buffers: Any, batch: Any) -> Tensor:
        raw: Tensor = functional_call(self._template, (parameters, buffers), (batch,))
        return raw


class _Network(nn.Module):
    """The tensor-to-tensor part of a model: all but the distribution of its head."""

    def __init__(self, model: PredictiveModule) -> None:
        super().__init__()
        self.stem, self.backbone = model.stem, model.backbone
        self.projection = model.head.projection

    def forward(self, batch: Any) -> Tensor:
        """Maps a batch to the parameters of the distribution, `[B, T, ...]`."""
        raw: Tensor = self.projection(self.stem.readout(self.backbone(self.stem(batch))))
        return raw


def _batches(data: Sequence[PredictiveData]) -> Iterator[Any]:
    """Returns the training batches of all data without end, each field `[R, B, ...]`."""
    distinct = list(dict.fromkeys(data))
    which = torch.tensor([distinct.index(each) for each in data])
    row = torch.arange(len(distinct)).unsqueeze(1)
    splits = [each.dataset("train") for each in distinct]
    sizes = {len(split) for split in splits}
    if len(sizes) > 1:
        raise ValueError(
            f"Replicas: the data hold {sorted(sizes)} training examples; models that are trained "
            "together need equally many."
        )
    whole = [split.__getitems__(list(range(len(split)))) for split in splits]
    fields = [torch.stack(field) for field in zip(*whole, strict=True)]
    orders = [iter(each.train_dataloader().batch_sampler or ()) for each in distinct]

    def endless() -> Iterator[Any]:
        while True:
            chosen = torch.tensor([next(order) for order in orders])
            yield type(whole[0])(*(field[row, chosen][which] for field in fields))

    return endless()


def _clip(gradients: list[Tensor], largest: float) -> None:
    """Clips the gradient of each model to a norm, as `clip_grad_norm_` does."""
    squares = [gradient.flatten(1).square().sum(1) for gradient in gradients]
    norm = torch.stack(squares).sum(0).sqrt()
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.view(-1, *(1,) * (gradient.ndim - 1)))
