"""A checkpoint rebuilds its module without YAML, again and again; or says why it cannot."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.cli import LightningCLI

from framework.checkpoints import read
from framework.modules.base import PredictiveModule
from framework.modules.construction import build_module, describe
from framework.modules.loading import load_module
from framework.strategies import FullyShardedStrategy
from tests.framework.modules import fakes
from tests.ranks import run_ranks

WIDE = partial(fakes.FakeBackbone, width=12)


def train(model: PredictiveModule, path: Path) -> PredictiveModule:
    """Trains two steps, saves, and loads what was saved as anybody would."""
    runner = fakes.trainer(max_steps=2)
    runner.fit(model, fakes.data())
    runner.save_checkpoint(path)
    return type(model).load_from_checkpoint(path, weights_only=True)


def assert_same_model(found: PredictiveModule, expected: PredictiveModule) -> None:
    torch.testing.assert_close(fakes.whole(found), fakes.whole(expected), rtol=0, atol=0)
    batch = fakes.examples(5)
    with torch.no_grad():
        torch.testing.assert_close(found(batch).scale, expected(batch).scale, rtol=0, atol=0)
    assert dict(found.hparams) == dict(expected.hparams)


class Sub(PredictiveModule):
    """A module with an option of its own, as the concrete ones have."""

    def __init__(self, *, extra: int = 2, **options: object) -> None:
        super().__init__(**options)
        self.extra = extra


@pytest.mark.parametrize("kind", [PredictiveModule, partial(Sub, extra=5)])
def test_save_load_train_save_load(tmp_path, kind):
    seed_everything(1, verbose=False)
    head = partial(fakes.FakeHead, floor=0.3)
    model = kind(**fakes.options(backbone=WIDE, head=head))
    first = train(model, tmp_path / "first.ckpt")
    assert_same_model(first, model)
    assert first.head.floor == 0.3
    second = train(first, tmp_path / "second.ckpt")
    assert_same_model(second, first)
    assert second.backbone.dim == 12
    assert getattr(second, "extra", 5) == 5
    assert second.losses["error"].weight == 0.5


class FakeModuleData(fakes.FakeData):
    """The data of the fakes, as the command line makes them."""

    def __init__(self, size: int = 48) -> None:
        super().__init__(fakes.examples(size), 8, fakes.examples(7))
        self.spec = fakes.SPEC


class Wired(LightningCLI):
    def add_arguments_to_parser(self, parser) -> None:
        parser.link_arguments("data.spec", "model.init_args.spec", apply_on="instantiate")


ARGS = """fit --model PredictiveModule --model.stem FakeStem --model.backbone FakeBackbone
--model.backbone.width 12 --model.head FakeHead --model.head.floor 0.3 --model.losses.nll FakeNLL
--model.losses.error FakeError --model.losses.error.weight 0.25 --model.optimizer AdamW
--model.optimizer.lr 0.02 --model.schedule WarmupCosine --model.schedule.warmup 2
--model.execution.checkpoint true --trainer.max_steps 2 --trainer.accelerator cpu
--trainer.devices 1 --trainer.logger false --trainer.max_epochs -1 --trainer.limit_val_batches 0
--trainer.use_distributed_sampler false --trainer.enable_checkpointing false
--trainer.enable_progress_bar false --trainer.enable_model_summary false --seed_everything 1"""


@pytest.mark.slow
def test_built_by_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lightning"])
    cli = Wired(
        LightningModule,
        FakeModuleData,
        subclass_mode_model=True,
        args=ARGS.split(),
        save_config_callback=None,
    )
    cli.trainer.save_checkpoint(tmp_path / "first.ckpt")
    first = PredictiveModule.load_from_checkpoint(tmp_path / "first.ckpt", weights_only=True)
    assert_same_model(first, cli.model)
    assert first.execution.checkpoint
    second = train(first, tmp_path / "second.ckpt")
    assert_same_model(second, first)
    assert second.hparams["losses"]["error"]["init_args"] == {"weight": 0.25}
    assert second.configure_model() is None  # twice is once


def test_building_depends_on_the_seed_alone_and_draws_nothing():
    torch.manual_seed(3)
    first, second = fakes.module(), fakes.module()
    first.configure_model()
    expected = torch.rand(5, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(torch.rand(5), expected, rtol=0, atol=0)
    second.configure_model()
    torch.testing.assert_close(fakes.whole(first), fakes.whole(second), rtol=0, atol=0)
    torch.manual_seed(4)
    third = fakes.module()
    third.configure_model()
    assert not torch.equal(third.head.projection.weight, first.head.projection.weight)


def test_options_may_be_changed_on_loading(tmp_path):
    model = fakes.module()
    train(model, tmp_path / "first.ckpt")
    slow = {"optimizer": partial(torch.optim.SGD, lr=0.125)}
    changed = PredictiveModule.load_from_checkpoint(
        tmp_path / "first.ckpt", weights_only=True, **slow
    )
    again = train(changed, tmp_path / "second.ckpt")
    assert again.hparams["optimizer"]["init_args"] == {"lr": 0.125}


def test_resuming_keeps_the_recipe_of_this_run(tmp_path):
    train(fakes.module(), tmp_path / "first.ckpt")
    model = fakes.module(optimizer=partial(torch.optim.AdamW, lr=0.125))
    runner = fakes.trainer(max_steps=3)
    runner.fit(model, fakes.data(), ckpt_path=tmp_path / "first.ckpt")
    runner.save_checkpoint(tmp_path / "second.ckpt")
    saved = read(tmp_path / "second.ckpt")["hyper_parameters"]
    assert saved["optimizer"]["init_args"] == {"lr": 0.125}


def test_arrays_of_options_are_stored_as_lists():
    """Numbers of numpy could not be read where weights alone are."""
    made = describe({"loss": partial(fakes.FakeNLL, weight=np.float64(2), levels=np.ones(2))})
    assert made["loss"]["init_args"] == {"weight": 2.0, "levels": [1.0, 1.0]}
    assert type(made["loss"]["init_args"]["weight"]) is float


@pytest.mark.filterwarnings("ignore:Attribute 'head' removed from hparams")  # Lightning's, before
def test_factories_without_a_name_are_refused_before_training():
    model = fakes.module(head=lambda dim, support: fakes.FakeHead(dim, support))
    with pytest.raises(ValueError, match=r"<lambda> cannot be written into a checkpoint"):
        fakes.trainer().fit(model, fakes.data())
    with pytest.raises(ValueError, match="options without names; give them by keyword"):
        describe(partial(fakes.FakeNLL, 2.0))


def test_parts_that_are_replaced_by_hand_are_refused_before_training(tmp_path):
    """The checkpoint would name the old one."""
    train(fakes.module(), tmp_path / "first.ckpt")
    model = load_module(tmp_path / "first.ckpt")
    model.head = torch.nn.Linear(3, 3)
    said = r"its head is a Linear in the place of the FakeHead .* make a new PredictiveModule with"
    with pytest.raises(ValueError, match=said):
        fakes.trainer().fit(model.train(), fakes.data())


def test_another_architecture_is_one_sentence(tmp_path):
    train(fakes.module(), tmp_path / "first.ckpt")
    other = (
        r"PredictiveModule: the checkpoint is of another architecture: .*more differences\); use"
    )
    model = fakes.module(backbone=WIDE)
    with pytest.raises(ValueError, match=r"is \[8, 3\] there and \[12, 3\] here") as error:
        fakes.trainer(max_steps=3).fit(model, fakes.data(), ckpt_path=tmp_path / "first.ckpt")
    assert error.match(other)
    deep = partial(fakes.FakeBackbone, depth=3)
    with pytest.raises(ValueError, match=r"blocks.2.linear.weight is missing there"):
        PredictiveModule.load_from_checkpoint(tmp_path / "first.ckpt", backbone=deep)


def test_another_class_is_one_sentence(tmp_path):
    train(fakes.module(), tmp_path / "first.ckpt")
    with pytest.raises(
        ValueError,
        match=r"^Sub: the checkpoint holds a module of another class, "
        r"framework\.PredictiveModule; load it with framework\.load_module",
    ):
        Sub.load_from_checkpoint(tmp_path / "first.ckpt")  # fmt: skip
    assert type(load_module(tmp_path / "first.ckpt")) is PredictiveModule


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.slow
def test_another_architecture_is_one_sentence_to_shards(tmp_path, folder):
    path = tmp_path / "first.ckpt"

    def fit(steps: int, ckpt_path: Path | None = None, **backbone: int) -> Trainer:
        runner = fakes.trainer(max_steps=steps, devices=2, strategy=FullyShardedStrategy(folder))
        model = fakes.module(backbone=partial(fakes.FakeBackbone, **backbone))
        runner.fit(model, fakes.data(), ckpt_path=ckpt_path)
        return runner

    def rank() -> None:
        fit(2).save_checkpoint(path)
        assert fit(3, path).global_step == 3
        with pytest.raises(ValueError, match=r"blocks.2.linear.weight is missing there"):
            fit(3, path, depth=3)

    def shallow() -> None:
        with pytest.raises(ValueError, match=r"blocks.1.linear.weight is unknown here"):
            fit(3, path, depth=1)

    def wide() -> None:
        with pytest.raises(ValueError, match=r"is \[8, 3\] there and \[12, 3\] here"):
            fit(3, path, width=12)

    for function in (rank, shallow, wide):
        run_ranks(function, 2)
    assert path.is_dir() == folder


def test_unreadable_checkpoints_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="There is no checkpoint"):
        read(tmp_path / "none.ckpt")
    train(fakes.module(), tmp_path / "good.ckpt")
    whole = (tmp_path / "good.ckpt").read_bytes()
    (tmp_path / "torn.ckpt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.ckpt").write_bytes(b"")
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "yaml.ckpt").write_text("epoch: 1")  # which pickle reads on until a key is missing
    (tmp_path / "table.ckpt").write_text("id,time")
    for name in ("torn.ckpt", "empty.ckpt", "text.ckpt", "yaml.ckpt", "table.ckpt"):
        with pytest.raises(ValueError, match=f"{name}' is damaged"):
            read(tmp_path / name)
    torch.save({"state_dict": fakes.FakeNLL()}, tmp_path / "objects.ckpt")
    with pytest.raises(ValueError, match=r"objects.ckpt' holds objects that are not plain data"):
        read(tmp_path / "objects.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(ValueError, match=r"list.ckpt' is not the checkpoint of a run"):
        read(tmp_path / "list.ckpt")
    assert read(tmp_path / "good.ckpt")["global_step"] == 2


def test_a_class_that_cannot_be_imported_is_named():
    head = {"class_path": "components.Gone", "init_args": {"bins": [1]}}
    options = {"_class_path": "framework.PredictiveModule", "head": head}
    with pytest.raises(ValueError, match=r"components\.Gone cannot be imported .* can be found"):
        build_module("The checkpoint", options)
