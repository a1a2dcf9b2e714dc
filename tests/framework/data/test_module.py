"""Loaders read on where a checkpoint was written; any number of ranks evaluates the same."""

import itertools
import warnings
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.fsdp import fully_shard

from components.data import DensityBatch, DensitySpec
from components.supports import Interval
from framework.data.module import Dataset, PredictiveData
from tests.ranks import run_ranks


class Numbers(Dataset):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitems__(self, indices):
        x = torch.tensor(indices, dtype=torch.float64)[:, None] / self.size
        return DensityBatch(x, torch.sin(7 * x), torch.ones_like(x))


class NumberData(PredictiveData):
    spec = DensitySpec(Interval(-1, 1), 1)

    def dataset(self, split):
        return Numbers(26 if split == "train" else 11)


class Line(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1, dtype=torch.float64)
        torch.nn.init.constant_(self.layer.weight, 0.3)
        torch.nn.init.zeros_(self.layer.bias)
        self.seen, self.total, self.count = [], 0.0, 0

    def training_step(self, batch):
        self.seen.append([round(26 * x) for x in batch.features.flatten().tolist()])
        return (self.layer(batch.features) - batch.target).square().mean()

    def validation_step(self, batch):
        return (self.layer(batch.features) - batch.target).square().mean()

    def test_step(self, batch):
        self.total += batch.features.sum().item()
        self.count += len(batch.features)

    def predict_step(self, batch):
        return batch.features.flatten().tolist()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.1)


class SaveAt(Callback):
    """Saves after a number of micro-batches."""

    def __init__(self, number, path):
        self.number, self.path = number, path

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx + 1 == self.number:
            trainer.save_checkpoint(self.path)


def trainer(folder, **options):
    return Trainer(
        default_root_dir=folder,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        check_val_every_n_epoch=None,
        **options,
    )


def fit(folder, steps, accumulate=1, workers=0, callbacks=(), ckpt_path=None, **options):
    model = Line()
    run = trainer(
        folder,
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        callbacks=list(callbacks),
        val_check_interval=3,
        num_sanity_val_steps=0,
        **options,
    )
    data = NumberData(batch_size=4, num_workers=workers, seed=5)
    run.fit(model, data, ckpt_path=ckpt_path)
    return model, run


def test_lightning_does_not_complain_of_its_own_code(tmp_path):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(tmp_path, 1)
        trainer(tmp_path).predict(Line(), NumberData())
    assert [str(x.message) for x in said if "LeafSpec" in str(x.message)] == []


@pytest.mark.parametrize(
    ("accumulate", "saved_after", "workers"),
    [
        *((1, 8, 0), (3, 9, 0), (3, 10, 0), (3, 11, 0), (1, 8, 2)),
        pytest.param(3, 10, 2, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_resumed_run_equals_one_that_was_not_interrupted(
    tmp_path, accumulate, saved_after, workers
):
    path = tmp_path / "saved.ckpt"
    whole, _ = fit(tmp_path, 12, accumulate, workers, [SaveAt(saved_after, path)])
    resumed, run = fit(tmp_path, 12, accumulate, workers, ckpt_path=path)
    served = saved_after // accumulate * accumulate  # a window that was cut short is read again
    assert resumed.seen == whole.seen[served:]
    assert len(whole.seen) == 12 * accumulate
    assert run.global_step == 12
    assert torch.equal(resumed.layer.weight, whole.layer.weight)
    assert torch.equal(resumed.layer.bias, whole.layer.bias)


def test_a_finished_run_can_be_extended(tmp_path):
    whole, _ = fit(tmp_path, 11, 2)
    _, run = fit(tmp_path, 4, 2)
    run.save_checkpoint(tmp_path / "end.ckpt")
    resumed, _ = fit(tmp_path, 11, 2, ckpt_path=tmp_path / "end.ckpt")
    assert resumed.seen == whole.seen[8:]
    assert torch.equal(resumed.layer.weight, whole.layer.weight)


def test_epochs_that_are_cut_short_do_not_repeat_data(tmp_path):
    whole, _ = fit(tmp_path, 9)
    limited, _ = fit(tmp_path, 9, limit_train_batches=3)
    assert limited.seen == whole.seen


def test_without_a_trainer_the_loaders_serve_everything():
    data = NumberData(batch_size=4)
    batch = next(iter(data.train_dataloader()))
    assert batch.features.shape == (4, 1)
    seen = torch.cat([batch.features for batch in data.val_dataloader()]).flatten() * 11
    assert seen.tolist() == pytest.approx(range(11))
    assert len(data.test_dataloader()) == 3
    assert len(NumberData(batch_size=4, eval_batch_size=11).test_dataloader()) == 1


def test_prediction_visits_every_example(tmp_path):
    run = trainer(tmp_path)
    rows = run.predict(Line(), NumberData(batch_size=4))
    assert list(itertools.chain(*rows)) == pytest.approx([k / 11 for k in range(11)])


def evaluate(folder, world):
    model = Line()
    run = trainer(folder, devices=world, strategy="ddp" if world > 1 else "auto")
    run.test(model, NumberData(batch_size=4, eval_batch_size=2), verbose=False)
    return {"total": model.total, "count": model.count, "batches": run.num_test_batches[0]}


def test_ranks_together_evaluate_what_one_does(tmp_path):
    alone = run_ranks(evaluate, 1, tmp_path, 1)[0]
    shares = run_ranks(evaluate, 2, tmp_path, 2)
    assert alone["count"] == 11
    assert sum(share["count"] for share in shares) == 11
    assert sum(share["total"] for share in shares) == pytest.approx(alone["total"], rel=1e-12)
    assert shares[0]["batches"] == shares[1]["batches"] == 3


def shares_of_training(folder, world):
    model, _ = fit(folder, 5, devices=world, strategy="ddp" if world > 1 else "auto")
    return {"seen": model.seen, "weight": model.layer.weight}


def test_ranks_together_train_on_the_batches_of_one(tmp_path):
    alone = run_ranks(shares_of_training, 1, tmp_path, 1)[0]
    left, right = run_ranks(shares_of_training, 2, tmp_path, 2)
    assert [a + b for a, b in zip(left["seen"], right["seen"], strict=True)] == alone["seen"]
    torch.testing.assert_close(left["weight"], alone["weight"], rtol=1e-12, atol=0)


class MeshLine(Line):
    def configure_model(self):
        fully_shard(self.layer, mesh=self.device_mesh["data_parallel"])


def evaluate_on_mesh(folder, data_parallel, tensor_parallel):
    strategy = ModelParallelStrategy(data_parallel, tensor_parallel)
    model = MeshLine()
    run = trainer(folder, devices=2, strategy=strategy)
    run.test(model, NumberData(batch_size=4, eval_batch_size=2), verbose=False)
    return model.count


@pytest.mark.slow
def test_only_ranks_with_different_data_share_them(tmp_path):
    assert run_ranks(evaluate_on_mesh, 2, tmp_path, 2, 1) == [5, 6]
    assert run_ranks(evaluate_on_mesh, 2, tmp_path, 1, 2) == [11, 11]


def test_lightning_must_not_share_the_data_too(tmp_path):
    data = NumberData(batch_size=4)
    data.trainer = SimpleNamespace(
        distributed_sampler_kwargs={"num_replicas": 2, "rank": 1},
        _accelerator_connector=SimpleNamespace(use_distributed_sampler=True),
    )
    with pytest.raises(ValueError, match=r"NumberData .* set trainer\.use_distributed"):
        data.val_dataloader()
