"""The base of modules: lazy construction, exact weighted losses, one optimizer step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import Callback
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.utils import clip_grads_with_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from components.data import Batch
from components.interfaces import (
    Adaptation,
    Backbone,
    BackboneFactory,
    Head,
    HeadFactory,
    Initialization,
    Loss,
    LossFactory,
    Stem,
    StemFactory,
)
from framework.agreement import require_agreement
from framework.data.module import Dataset
from framework.data.place import place_of
from framework.data.sampling import ShardSampler
from framework.execution import (
    PLAIN,
    Execution,
    Sharding,
    materialize,
    parallelize,
    sharding_of,
)
from framework.modules.described import DescribedModule
from framework.modules.factories import require_factories
from framework.modules.frozen import require_copied
from framework.modules.gradients import parameters_of, watched
from framework.modules.hardware import warn_of_slow_bfloat16
from framework.modules.monitors import check_monitors, check_time, check_validation
from framework.modules.objective import Objective, counted_target
from framework.modules.returned import hidden_states, predicted
from framework.modules.weighted_means import WeightedMeans
from framework.optimization import fuse, groups, matrices, own_options, reapply
from framework.schedules import Constant, ScheduleFactory, steps_of_run

WeightedValues = tuple[Tensor, Tensor]
"""Values `[B, T]` and their weights, `[B, T]`; the weighted mean over all batches is a metric."""


class PredictiveModule(DescribedModule):
    """Trains and evaluates a model that predicts distributions.

        batch ─► stem ─► backbone ─► stem.readout ─► head ─► Distribution ─► losses, metrics

    The parts arrive as factories and are built in `configure_model`, once the data are known and
    the processes are connected. The initial weights depend on the global seed alone.

    Args:
        spec: Facts of the data; wired to the data module.
        stem: Turns a batch into a sequence.
        backbone: Turns the sequence into hidden states.
        head: Turns hidden states into a predictive distribution.
        losses: Terms of the objective, by the name under which they are logged.
        optimizer: The optimizer. Its weight decay is applied to matrices only. Adam and AdamW are
            fused, unless it says otherwise.
        schedule: The learning rate over the steps of the run; constant if not given.
        execution: Whether to compile, to recompute activations, to build on the meta device.
        initialization: Sets the initial parameters; None leaves each part its own.
        decay_embeddings: Whether weight decay is applied to embeddings, too.
        adaptation: What of the model is trained, as in fine-tuning; None for all of it.

    Raises:
        ValueError: If there is no term to minimize, or the data are of another kind.
    """

    kind: ClassVar[type] = object  # of the spec that the data must publish
    stem: Stem
    backbone: Backbone
    head: Head
    losses: nn.ModuleDict

    def __init__(
        self,
        spec: Any,
        stem: StemFactory,
        backbone: BackboneFactory,
        head: HeadFactory,
        losses: dict[str, LossFactory],
        optimizer: OptimizerCallable,
        schedule: ScheduleFactory = Constant,
        execution: Execution = PLAIN,
        initialization: Initialization | None = None,
        decay_embeddings: bool = True,
        adaptation: Adaptation | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(spec, self.kind):
            raise ValueError(
                f"{type(self).__name__} reads data that publish a {self.kind.__name__}, these "
                f"publish a {type(spec).__name__}; choose the module for such data."
            )
        require_factories(type(self).__name__, losses, stem=stem, backbone=backbone, head=head)
        self.save_hyperparameters(logger=False)  # loggers choke on a frozen spec
        self.spec: Any = spec
        self.execution = execution
        self.sharding: Sharding | None = None  # a strategy says it, before the parts are built
        self._stem, self._backbone, self._head, self._losses = stem, backbone, head, losses
        self._optimizer, self._schedule = optimizer, schedule
        self._initialization, self._decay_embeddings = initialization, decay_embeddings
        self._adaptation = adaptation
        self._means = WeightedMeans()

    @property
    def place(self) -> tuple[int, int]:
        """Number of this process, and of all, among those that read different data."""
        return place_of(self.trainer)

    # Building

    def configure_callbacks(self) -> list[Callback]:
        """Lets processes agree on the run; Lightning calls it last before it connects them.

        Raises:
            ValueError: If they do not, or one is missing.
        """
        require_agreement(self.trainer, self.described())
        return []

    def configure_model(self) -> None:
        """Builds the parts, and applies `execution`; does nothing when called again."""
        if hasattr(self, "head"):
            return
        sharding = self.sharding = self.sharding or sharding_of(self.device_mesh)
        later = sharding if self.execution.meta else None  # gets storage after sharding
        with torch.device("meta") if later else nullcontext():
            for name, part in self._build().items():
                self.add_module(name, part)
                self._kinds[name] = type(part)
        self._matrices = matrices(self, self._decay_embeddings)
        # Buffers are constants: without this, DDP sends them around before every forward pass.
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]
        parallelize(self.stem, self.backbone, self.head, self.execution, sharding)
        if later:
            materialize(self, self._build, later)

    @torch.random.fork_rng(devices=())
    def _build(self) -> nn.ModuleDict:
        torch.manual_seed(torch.initial_seed())  # independent of rank and of earlier draws
        backbone = self._backbone()
        stem = self._stem(dim=backbone.input_dim, spec=self.spec)
        if stem.separates and not backbone.separates:
            raise ValueError(
                f"{type(backbone).__name__} cannot keep the documents of a window apart; choose "
                "Decoder, or drop data.separate_documents."
            )
        head = self._head(dim=backbone.dim, support=self.spec.support)
        self._join(stem, head)
        parts, copied = nn.ModuleDict({"stem": stem, "backbone": backbone, "head": head}), None
        if self._initialization is not None:
            copied = self._initialization.apply(stem, backbone, head)
        if self._adaptation is not None:
            self._adaptation.apply(stem, backbone, head)
            if copied is not None:
                require_copied(parts, copied)
        losses = nn.ModuleDict({name: loss() for name, loss in self._losses.items()})
        return nn.ModuleDict({**parts, "losses": losses})

    def _join(self, stem: Stem, head: Head) -> None:
        """Lets parts share parameters before they are initialized; does nothing here."""

    def forward(self, batch: Batch) -> Distribution:
        """Predicts a batch: batch shape `[B, T]`, event shape that of the support."""
        hidden = hidden_states(self.stem, self.backbone, batch)
        return predicted(self.head, hidden, self.spec.support)

    # Training

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Builds the optimizer, and the schedule that advances after each of its steps.

        Raises:
            ValueError: If the run has no end, or the norm to clip gradients to is negative.
        """
        clip = self.trainer.gradient_clip_val
        if clip is not None and clip < 0:  # Lightning would silently clip nothing
            raise ValueError(
                f"trainer.gradient_clip_val={clip} is negative; give a positive norm, or null."
            )
        steps = steps_of_run(self.trainer)
        optimizer = self._optimizer(groups(self, self._matrices))
        fuse(optimizer)
        # A fused one would unscale float16 gradients within its step, after clipping.
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]  # of torch.amp
        self._own_options = own_options(optimizer)
        schedule = self._schedule(optimizer=optimizer, steps=steps)
        advanced: Any = {"scheduler": schedule, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": advanced}

    def on_fit_start(self) -> None:
        """Refuses to go on where no time is left."""
        check_time(self.trainer)

    def on_train_start(self) -> None:
        """Creates the objective, which accumulates its sums from here.

        A run that resumes takes the moments of the optimizer and the step from a checkpoint, and
        learning rates, weight decay and other options from its own recipe.
        """
        if self.trainer.ckpt_path is not None:
            schedule = cast(LRScheduler, self.lr_schedulers())
            reapply(self.trainer.optimizers[0], schedule, self._own_options)
        check_validation(self.trainer)
        warn_of_slow_bfloat16(self.trainer.precision, self.device)
        losses = cast("dict[str, Loss]", dict(self.losses.items()))
        self._objective = Objective(losses, type(self).__name__)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns what Lightning differentiates: weighted sums, divided at the end of the step.

        The factor cancels Lightning's division by the number of micro-batches, and the average of
        gradients over processes.
        """
        factor: int = self.place[1] * self.trainer.accumulate_grad_batches
        return self._objective.add(self(batch), batch) * factor

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Turns gradients of sums into gradients of means, after unscaling and before clipping."""
        step = self.trainer.global_step
        group = None if self.sharding is None else self.sharding.data
        loss = self._objective.finalize_step(self.parameters(), step, group)
        self._norm = watched(self.trainer, self, optimizer, loss)
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set from outside
        if (
            every and (step + 1) % every == 0
        ) or step + 1 == self.trainer.estimated_stepping_batches:
            self.log_dict({f"train/{name}": x for name, x in self._objective.means().items()})
            self.log("lr", optimizer.param_groups[0]["lr"])

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips gradients as Lightning does; a norm that is known is not computed again."""
        if self._norm is None or gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            clip_grads_with_norm_(parameters_of(optimizer), gradient_clip_val, self._norm)

    # Evaluation

    def evaluate(self, batch: Any, dataloader_idx: int) -> Mapping[str, WeightedValues]:
        """Returns what a batch adds to each metric, by name.

        Override it where a second loader serves another kind of batch than the first.

        Args:
            batch: A batch of the loader.
            dataloader_idx: Which loader of the data module it comes from.
        """
        prediction = self(batch)
        return {
            "nll": (-prediction.log_prob(counted_target(batch)), batch.weight),
            "out_of_support": (self.out_of_support(batch), batch.weight),
            **self.metrics(prediction, batch),
        }

    def out_of_support(self, batch: Any) -> Tensor:
        """Returns which targets lie outside the support, as 0 or 1, `[B, T]`."""
        contained: Tensor = self.spec.support.contains(batch.target)
        return (~contained).float()

    def metrics(self, prediction: Any, batch: Any) -> Mapping[str, WeightedValues]:
        """Returns further metrics of a batch: values and weights, `[B, T]` each, by name."""
        return {}

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Derives further metrics from the means over all data, by name."""
        return {}

    def identities(self, count: int) -> list[Mapping[str, Any]]:
        """Returns what identifies the examples that are drawn, as in rows of predictions.

        They are those of the first batch of the first loader of validation or test.

        Args:
            count: How many they are.

        Returns:
            One for each, none if there is no trainer, or the data are not ours.
        """
        trainer = self._trainer
        loaders = trainer and (
            trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
        )
        loader = loaders[0] if isinstance(loaders, list) else loaders
        dataset, sampler = (getattr(loader, name, None) for name in ("dataset", "batch_sampler"))
        if not isinstance(dataset, Dataset) or not isinstance(sampler, ShardSampler):
            return []
        first = next(iter(sampler))
        return [dataset.identify(index) for index in first] if len(first) == count else []

    def figures(self, batch: Any) -> Mapping[str, Figure]:
        """Draws the predictions of a batch; figures by name."""
        return {}

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Adds a batch to the validation metrics."""
        self._add(batch, dataloader_idx)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Adds a batch to the test metrics."""
        self._add(batch, dataloader_idx)

    def on_validation_epoch_end(self) -> None:
        """Reduces and logs the validation metrics, which callbacks may monitor."""
        self._log_means("val")
        logged = {f"train/{name}" for name in (*self.losses, "loss")} | {"lr"}
        check_monitors(self.trainer, logged if self.trainer.state.fn == "fit" else set())

    def on_test_epoch_end(self) -> None:
        """Reduces and logs the test metrics."""
        self._log_means("test")

    def _add(self, batch: Any, dataloader_idx: int) -> None:
        for name, (value, weight) in self.evaluate(batch, dataloader_idx).items():
            self._means.add(name, value, weight)

    def _log_means(self, split: str) -> None:
        means = self._means.means(self.device)
        reported = {**means, **self.summarize(means)}
        self.log_dict({f"{split}/{name}": x for name, x in reported.items()}, sync_dist=True)
