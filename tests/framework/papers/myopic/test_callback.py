"""Watching gradients changes no bit of training, and logs what the analysis finds."""

from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from matplotlib.image import imread

from components.backbones.decoder import Decoder
from components.heads.linear import LinearHead
from components.stems.tokens import TokenStem
from framework.callbacks import StepSeed
from framework.modules.language import LanguageModel
from framework.papers.myopic import FutureGradient, FutureGradients
from framework.studies.curves import read_logs
from tests.framework.modules.fakes import Record, trainer, whole
from tests.framework.modules.parts import FixedData, options
from tests.framework.papers.myopic.models import SPEC, Windows
from tests.ranks import run_ranks

BATCH = Windows(6).batch
DECODER = partial(Decoder, dim=8, depth=2, heads=2, dropout=0.3)


def module():
    torch.manual_seed(3)
    return LanguageModel(**options(SPEC, TokenStem, LinearHead, DECODER))


def fit(*callbacks, **settings):
    """Trains for four steps, each on half of the examples."""
    record, model = Record(), module()
    given = {"callbacks": [StepSeed(1), record, *callbacks], "max_steps": 4, **settings}
    runner = trainer(**given)
    runner.fit(model, FixedData(BATCH, size=3))
    return whole(model), record.rows, runner


def test_training_is_the_same_to_the_bit():
    weights, rows, _ = fit()
    watched, seen, runner = fit(FutureGradients(every=2))
    assert all(torch.equal(weights[name], watched[name]) for name in weights)
    kept = [{k: v for k, v in row.items() if not k.startswith("gradient/")} for row in seen]
    assert rows == kept
    assert rows[0] != rows[-1]
    assert {"gradient/future", "gradient/cosine/block 1"} <= set(runner.callback_metrics)


@pytest.mark.slow
def test_what_is_logged_is_what_the_analysis_finds(tmp_path):
    logger = CSVLogger(tmp_path)
    logged = {}
    logger.log_metrics = lambda metrics, step=None: logged.setdefault(step, {}).update(metrics)
    model = module()
    model.configure_model()
    first = type(BATCH)(*(field[:3] for field in BATCH))
    expected = FutureGradient(model).measure([first])
    fit(FutureGradients(every=2), logger=logger)
    found = {step: row for step, row in logged.items() if "gradient/total" in row}
    assert sorted(found) == [0, 2]
    for name in ("total", "myopic", "future", "cosine"):
        for group, tail in (("all", ""), ("block 2", "/block 2")):
            want = getattr(expected[group], name)
            assert found[0][f"gradient/{name}{tail}"] == pytest.approx(want, rel=1e-5)


@pytest.mark.slow
def test_the_first_micro_batch_of_a_step_is_measured(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    fit(FutureGradients(every=1), logger=logger, accumulate_grad_batches=2, max_steps=3)
    points = read_logs("x", 1, Path(logger.log_dir), ["gradient/cosine"])
    assert [point.step for point in points] == [0, 1, 2]
    assert imread(f"{logger.log_dir}/figures/gradients.png").std() > 0


@pytest.mark.slow
def test_two_ranks_measure_the_batch_that_they_share():
    def on_rank():
        return dict(fit(FutureGradients(every=4), devices=2, strategy="ddp")[2].callback_metrics)

    model = module()
    model.configure_model()
    expected = FutureGradient(model).measure([BATCH])["all"]
    for found in run_ranks(on_rank, 2):
        assert found["gradient/future"].item() == pytest.approx(expected.future, rel=1e-5)
        assert found["gradient/cosine"].item() == pytest.approx(expected.cosine, rel=1e-4)


def test_no_number_of_steps_is_refused():
    with pytest.raises(ValueError, match="every=0 is not positive"):
        FutureGradients(every=0)
