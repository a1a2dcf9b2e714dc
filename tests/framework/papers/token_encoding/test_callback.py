"""Watching a read-out changes no bit of training, goes on after a break, and works on ranks."""

import csv
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from matplotlib.image import imread

import cli
from components.heads.fan import FanHead
from components.heads.fourier import FourierHead
from framework.callbacks import StepSeed
from framework.papers.token_encoding.callback import TokenEncoding
from framework.papers.token_encoding.dynamics import Dynamics
from framework.studies.curves import read_logs
from tests.framework.modules.fakes import Record, fsdp2, trainer, whole
from tests.framework.modules.parts import FixedData
from tests.framework.papers.token_encoding.texts import CountedText, model
from tests.ranks import run_ranks

PICTURES = {"encoding", "encoding_fits", "encoding_saliency", "encoding_components"}


class Logger(CSVLogger):
    """Keeps what is logged of the read-out."""

    def __init__(self, folder):
        super().__init__(folder)
        self.rows = {}

    def log_metrics(self, metrics, step=None):
        if "encoding/alpha" in metrics:
            assert step not in self.rows
            self.rows[step] = metrics


def fit(*callbacks, module=None, ckpt_path=None, data=None, **settings):
    """Trains for six steps, with dropout."""
    module = module or model(dropout=0.3)
    runner = trainer(**{"callbacks": list(callbacks), "max_steps": 6, **settings})
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(1)
    runner.fit(module, data or CountedText(batch_size=8), ckpt_path=ckpt_path)
    return whole(module), runner


def states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


@pytest.mark.slow
@pytest.mark.parametrize("micro", [1, 3])
def test_training_is_the_same_to_the_bit(micro, tmp_path):
    records = [Record(), Record()]
    steps = {"max_steps": 2 if micro == 1 else 6, "accumulate_grad_batches": micro}
    weights, _ = fit(records[0], **steps)
    drawn = states()
    logger = TensorBoardLogger(tmp_path) if micro == 1 else False  # drawing draws no numbers
    watch = TokenEncoding(4, per_octave=1)
    watched, runner = fit(watch, records[1], logger=logger, **steps)
    assert all(torch.equal(weights[name], watched[name]) for name in weights)
    assert states() == drawn
    kept, seen = (
        [{k: v for k, v in row.items() if not k.startswith("encoding")} for row in record.rows]
        for record in records
    )
    assert kept[-1] != kept[0]
    assert [row for k, row in enumerate(seen) if row not in seen[:k]] == kept
    assert {"encoding/alpha", "encoding/frequency_input"} <= set(runner.callback_metrics)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "steps"), [({}, [0, 1, 2, 3, 4, 6, 7]), ({"per_octave": 1}, [0, 1, 2, 4, 7])]
)
def test_steps_are_spaced_evenly_in_their_logarithm_and_end_with_the_last(options, steps):
    watch = TokenEncoding(sequences=4, **options)
    fit(watch, max_steps=7, accumulate_grad_batches=2)
    assert list(watch.state_dict()["history"]) == steps


def test_a_run_that_ends_early_measures_its_last_step():
    class Stop(Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.should_stop = trainer.global_step == 5

    watch = TokenEncoding(sequences=4)
    fit(watch, Stop(), max_steps=100)
    assert list(watch.state_dict()["history"]) == [0, 1, 2, 3, 4, 5]


def resumable(folder, **settings):
    """Trains, keeps a checkpoint of step 5, and returns all scores and what was logged."""

    class Save(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 5:
                trainer.save_checkpoint(folder / "5.ckpt")

    watch, logger = TokenEncoding(sequences=4), Logger(folder)
    fit(watch, StepSeed(1), Save(), logger=logger, **settings)
    return watch.state_dict()["history"], logger


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves out the pictures of a moment."""
    monkeypatch.setattr("framework.papers.token_encoding.callback._draw", lambda moment: {})


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_run_resumed_from_before_its_last_scores_measures_them_again(tmp_path):
    once, _ = resumable(tmp_path / "once", max_steps=8)
    again, logger = resumable(tmp_path, max_steps=8, ckpt_path=tmp_path / "once" / "5.ckpt")
    assert list(again) == [0, 1, 2, 3, 4, 6, 8]
    assert again == once
    assert list(logger.rows) == [6, 8]
    with open(f"{logger.log_dir}/figures/encoding.csv", encoding="utf-8") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(again)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_run_that_is_extended_repeats_no_step(tmp_path):
    resumable(tmp_path, max_steps=5)
    longer, logger = resumable(tmp_path, max_steps=7, ckpt_path=tmp_path / "5.ckpt")
    assert list(longer) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert list(logger.rows) == [6, 7]


def test_a_run_that_is_watched_from_later_on_is_compared_with_that_moment(tmp_path):
    _, runner = fit(max_steps=3)
    runner.save_checkpoint(tmp_path / "3.ckpt")
    watch = TokenEncoding(sequences=4)
    fit(watch, ckpt_path=tmp_path / "3.ckpt")
    history = watch.state_dict()["history"]
    assert list(history) == [3, 4, 6]
    assert history[3]["cosine_start"] == pytest.approx(1)


@pytest.mark.parametrize("strategy", ["ddp", fsdp2], ids=["ddp", "fsdp2"])
@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_ranks_measure_what_one_process_measures(strategy, tmp_path):
    def on_rank():
        watch = TokenEncoding(sequences=21)
        made = strategy if strategy == "ddp" else strategy()
        module = model(head=partial(FanHead, layers=2))
        logger = Logger(tmp_path)
        fit(watch, module=module, devices=2, strategy=made, max_steps=3, logger=logger)
        return watch.state_dict()["history"]

    watch = TokenEncoding(sequences=21)
    fit(watch, module=model(head=partial(FanHead, layers=2)), max_steps=3)
    for found in run_ranks(on_rank, 2):
        for step, row in watch.state_dict()["history"].items():
            assert found[step] == pytest.approx(row, rel=1e-3, abs=1e-4)
    assert [path.name for path in tmp_path.rglob("*.png")] == ["encoding.png"]


def test_a_run_in_mixed_precision_is_measured_in_full():
    watch = TokenEncoding(sequences=20)
    weights, _ = fit(watch, precision="bf16-mixed")
    module = model()
    module.configure_model()
    module.load_state_dict(weights)
    dynamics = Dynamics(module, CountedText(batch_size=8), 20)
    start = watch.state_dict()["start"]
    expected = dynamics.measure(dynamics.read(module.eval()), start).scores
    assert watch.state_dict()["history"][6] == expected


def test_a_run_in_half_precision_is_measured_with_float32_logits():
    watch = TokenEncoding(sequences=20)
    fit(watch, precision="bf16-true")
    last = watch.state_dict()["history"][6]
    assert all(np.isfinite(list(last.values())))
    assert last["geometric"] == pytest.approx(1, abs=1e-9)


@pytest.mark.slow
def test_pictures_and_table_are_left_whatever_the_logger(tmp_path, monkeypatch):
    monkeypatch.setattr("framework.papers.token_encoding.callback.show", lambda *_: None)
    board, plain = TensorBoardLogger(tmp_path / "board"), CSVLogger(tmp_path / "plain")
    _, runner = fit(TokenEncoding(sequences=4), logger=[board, plain], max_steps=1)
    points = read_logs("x", 1, Path(board.log_dir), ["encoding/frequency"])
    assert [point.step for point in points] == [0, 1]
    fit(TokenEncoding(sequences=4), logger=plain, max_steps=1)
    for logger in (board, plain):
        folder = f"{logger.log_dir}/figures"
        for name in PICTURES:
            assert imread(f"{folder}/{name}.png").std() > 0
        with open(f"{folder}/encoding.csv", encoding="utf-8") as file:
            table = {int(row["step"]): row for row in csv.DictReader(file)}
        assert float(table[1]["nll"]) == pytest.approx(
            float(runner.callback_metrics["encoding/nll"]), rel=1e-6
        )


def test_nothing_is_said_without_a_logger(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(TokenEncoding(sequences=4), max_steps=1)
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.iterdir())


def test_frozen_parts_stay_in_evaluation():
    class Freeze(Callback):
        def on_train_start(self, trainer, pl_module):
            pl_module.backbone.eval()

    module = model()
    fit(Freeze(), TokenEncoding(sequences=4), module=module, max_steps=2)
    assert module.training
    assert module.head.training
    assert not module.backbone.training


def test_a_step_that_is_not_finite_is_left_out():
    class Break(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == 6:
                pl_module.head.projection.weight.data.fill_(torch.nan)

    watch = TokenEncoding(sequences=4)
    with pytest.warns(UserWarning, match="TokenEncoding leaves out step 6: .* not finite"):
        fit(Break(), watch)
    assert list(watch.state_dict()["history"]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("module", "data", "said"),
    [
        (
            model(head=partial(FourierHead, frequencies=3)),
            None,
            "measure: FourierHead has no row of",
        ),
        (model(dim=12), None, "measure: The text has .* too few to regress"),
        (model(), FixedData(CountedText().dataset("train").__getitems__([0])), "got FixedData"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_the_first_step(module, data, said, tmp_path):
    weights = []

    class Before(Callback):
        def on_train_batch_start(self, *_):
            weights.append("a step")

    with pytest.raises(ValueError, match=f"^TokenEncoding .*{said}"):
        fit(TokenEncoding(), Before(), module=module, data=data, logger=CSVLogger(tmp_path))
    assert not weights
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["sequences", "per_octave"])
def test_an_option_that_is_not_positive_is_refused(name):
    with pytest.raises(ValueError, match=f"TokenEncoding: {name}=0 is not positive"):
        TokenEncoding(**{name: 0})


@pytest.mark.slow
def test_a_recipe_chooses_it(tmp_path, capsys):
    recipe = tmp_path / "watch.yaml"
    recipe.write_text("trainer: {callbacks: [{class_path: TokenEncoding}]}")
    words = ["fit", "--config", "sotu"]
    for more in (["--config", str(recipe)], ["--trainer.callbacks+=TokenEncoding"]):
        with pytest.raises(SystemExit) as end:
            cli.main([*words, *more, "--print_config"])
        assert not end.value.code
        assert "framework.papers.token_encoding.TokenEncoding" in capsys.readouterr().out
