"""Real parts, data small enough for milliseconds, and a quiet trainer."""

import warnings
from functools import partial

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from components.backbones.decoder import Decoder
from components.losses.likelihood import NegativeLogLikelihood
from framework.data.sampling import ShardSampler
from framework.schedules import Constant
from tests.framework.modules.fakes import _same, trainer

DECODER = partial(Decoder, dim=16, depth=1, heads=2)


def options(spec, stem, head, backbone=DECODER):
    """Returns what every module is built from."""
    return {
        "spec": spec,
        "stem": stem,
        "backbone": backbone,
        "head": head,
        "losses": {"nll": NegativeLogLikelihood},
        "optimizer": partial(torch.optim.AdamW, lr=0.01),
        "schedule": Constant,
    }


class Fixed(Dataset):
    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch[0])

    def __getitems__(self, indices):
        return type(self.batch)(*(field[indices] for field in self.batch))


class FixedData(LightningDataModule):
    """Serves the same examples for everything, `size` at a time; more loaders for evaluation."""

    def __init__(self, *batches, predict=0, size=3):
        super().__init__()
        self.batches, self.predict, self.size = batches, predict, size

    def _loader(self, batch):
        share = self.trainer.distributed_sampler_kwargs or {"rank": 0, "num_replicas": 1}
        sampler = ShardSampler(len(batch[0]), self.size, share["rank"], share["num_replicas"])
        return DataLoader(Fixed(batch), batch_sampler=sampler, collate_fn=_same)

    def train_dataloader(self):
        return self._loader(self.batches[0])

    def val_dataloader(self):
        return [self._loader(batch) for batch in self.batches]

    def test_dataloader(self):
        return self.val_dataloader()

    def predict_dataloader(self):
        warnings.filterwarnings("ignore", "You are using a custom batch sampler `ShardSampler`")
        return self._loader(self.batches[self.predict])


def train(module, data, **changes):
    """Takes two steps with real components, and validates."""
    torch.manual_seed(0)
    settings = {"max_steps": 2, "limit_val_batches": 1.0, "check_val_every_n_epoch": None}
    runner = trainer(**{**settings, "val_check_interval": 2, "num_sanity_val_steps": 0, **changes})
    runner.fit(module, data)
    return {name: float(value) for name, value in runner.callback_metrics.items()}
