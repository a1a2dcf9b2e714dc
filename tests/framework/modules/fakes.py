"""Parts so small that a closed form or a loop can check what is done with them."""

import os
from functools import partial

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributions import Normal
from torch.utils.data import DataLoader, Dataset

from components.data import DensityBatch, DensitySpec
from components.interfaces import Backbone, Embedded, Head, Loss, Stem
from components.supports import Interval
from framework.data.module import InMemory, PredictiveData
from framework.data.sampling import ShardSampler, StepSampler
from framework.modules.base import PredictiveModule
from framework.schedules import WarmupCosine
from tests.ranks import run_ranks

SPEC = DensitySpec(Interval(-2.0, 2.0), features=3)


class FakeStem(Stem):
    def __init__(self, dim: int, spec: DensitySpec) -> None:
        super().__init__()
        self.project = nn.Linear(spec.features, dim)
        self.register_buffer("offset", torch.full((spec.features,), 0.1), persistent=False)

    def forward(self, batch: DensityBatch) -> Embedded:
        return Embedded(self.project((batch.features - self.offset).unsqueeze(1)))


class FakeBlock(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.dropout(self.linear(hidden).tanh())


class FakeBackbone(Backbone):
    def __init__(self, width: int = 8, depth: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim = width
        self.blocks = nn.ModuleList(FakeBlock(width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: Embedded, cache: None = None) -> Tensor:
        hidden = inputs.states
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)

    def new_cache(self, batch_size: int, length: int) -> None:
        raise NotImplementedError


class FakeHead(Head):
    def __init__(self, dim: int, support: Interval, floor: float = 0.1) -> None:
        super().__init__()
        self.support = support
        self.projection = nn.Linear(dim, 2)
        self.floor = floor

    def forward(self, hidden: Tensor) -> Normal:
        loc, scale = self.projection(hidden).unbind(-1)
        return Normal(loc, nn.functional.softplus(scale) + self.floor, validate_args=False)


class FakeNLL(Loss):
    def forward(self, prediction: Normal, target: Tensor) -> Tensor:
        return -prediction.log_prob(target)


class FakeError(Loss):
    def forward(self, prediction: Normal, target: Tensor) -> Tensor:
        return (prediction.mean - target) ** 2


def options(**changes: object) -> dict[str, object]:
    parts = {
        "spec": SPEC,
        "stem": FakeStem,
        "backbone": FakeBackbone,
        "head": FakeHead,
        "losses": {"nll": FakeNLL, "error": partial(FakeError, weight=0.5)},
        "optimizer": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
        "schedule": partial(WarmupCosine, warmup=2),
    }
    return {**parts, **changes}


def module(**changes: object) -> PredictiveModule:
    return PredictiveModule(**options(**changes))


def examples(size: int, dtype: torch.dtype = torch.float32) -> DensityBatch:
    """Regression with weights so uneven that a mean of means would be far off."""
    generator = torch.Generator().manual_seed(size)
    features = torch.randn(size, 3, generator=generator, dtype=dtype)
    target = features.sum(-1, keepdim=True).sin() * 2.5
    weight = (torch.rand(size, 1, generator=generator, dtype=dtype) ** 4 * 5).round()
    weight[0] = 3.0
    return DensityBatch(features, target, weight)


class Examples(Dataset):
    def __init__(self, batch: DensityBatch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch.target)

    def __getitems__(self, indices: list[int]) -> DensityBatch:
        return type(self.batch)(*(field[indices] for field in self.batch))


class FakeData(LightningDataModule):
    def __init__(self, batch: DensityBatch, batch_size: int, held_out: DensityBatch) -> None:
        super().__init__()
        self.batch, self.batch_size, self.held_out = batch, batch_size, held_out

    def _place(self) -> tuple[int, int]:
        share = self.trainer.distributed_sampler_kwargs or {"rank": 0, "num_replicas": 1}
        return share["rank"], share["num_replicas"]

    def train_dataloader(self) -> DataLoader:
        def start() -> int:
            return self.trainer.global_step * self.trainer.accumulate_grad_batches

        size = len(self.batch.target)
        sampler = StepSampler(size, self.batch_size, 1, *self._place(), start)
        return _loader(self.batch, sampler)

    def val_dataloader(self) -> DataLoader:
        return _loader(self.held_out, ShardSampler(len(self.held_out.target), 2, *self._place()))

    def test_dataloader(self) -> DataLoader:
        return self.val_dataloader()


def _loader(batch: DensityBatch, sampler: object) -> DataLoader:
    return DataLoader(Examples(batch), batch_sampler=sampler, collate_fn=_same)


def _same(batch: DensityBatch) -> DensityBatch:
    return batch


class Rows(PredictiveData):
    """The same examples as a data module of ours serves them."""

    spec = SPEC

    def __init__(self, size: int = 48, **options: object) -> None:
        super().__init__(**{"batch_size": 8, "seed": 1, **options})
        self.size = size

    def dataset(self, split: str) -> InMemory:
        return InMemory(examples(self.size if split == "train" else 7))


def data() -> FakeData:
    return FakeData(examples(48), 8, examples(7))


def trainer(**settings: object) -> Trainer:
    quiet = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": -1,
        "max_steps": 4,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "limit_val_batches": 0,
        "log_every_n_steps": 1,
    }
    return Trainer(**{**quiet, **settings})


class Record(Callback):
    """Keeps the training metrics of every step."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
        if metrics and (not self.rows or self.rows[-1] != metrics):
            self.rows.append(metrics)


def whole(model: PredictiveModule) -> dict[str, Tensor]:
    """Gathers the parameters of a sharded model; collective."""
    full = {}
    for name, value in model.state_dict().items():
        full[name] = value.full_tensor() if hasattr(value, "full_tensor") else value
    return {name: value.detach().clone() for name, value in full.items()}


def fit(
    settings: dict[str, object],
    changes: dict[str, object] | None = None,
    ckpt_path: str | None = None,
    served: LightningDataModule | None = None,
) -> dict[str, object]:
    """Trains the fake for a few steps; returns its weights and what it logged."""
    seed_everything(1, verbose=False)
    record = Record()
    model = module(**(changes or {}))
    runner = trainer(**{**settings, "callbacks": [record, *settings.get("callbacks", [])]})
    runner.fit(model, served or data(), ckpt_path=ckpt_path)
    return {"weights": whole(model), "rows": record.rows}


def fsdp2(**options: object) -> ModelParallelStrategy:
    """Shards over as many ranks as there are."""
    world = int(os.environ["WORLD_SIZE"])
    return ModelParallelStrategy(data_parallel_size=world, tensor_parallel_size=1, **options)


def on_ranks(world: int, strategy: object, **details: object) -> list[dict[str, object]]:
    """Calls `fit` on several ranks; a callable strategy is made on each."""
    settings = details.pop("settings", {})

    def rank() -> dict[str, object]:
        made = strategy() if callable(strategy) else strategy
        return fit({"devices": world, "strategy": made, **settings}, **details)

    return run_ranks(rank, world)
