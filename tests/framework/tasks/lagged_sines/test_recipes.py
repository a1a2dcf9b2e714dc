"""Recipes of the experiments on planning ahead, against the set-ups that were published."""

from contextlib import redirect_stdout
from functools import cache
from io import StringIO

import pytest
import torch
import yaml

import cli
from framework.modules.base import PredictiveModule
from framework.optimization import groups
from framework.tasks.arithmetic import Multiplication, ProductData
from framework.tasks.lagged_sines import LaggedSines, SequenceData
from tests.framework.modules.described import instantiate

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

SMALL = SequenceData(LaggedSines(5, 4.0, 0.5), length=20)
PUBLISHED = SequenceData(LaggedSines(10, 10.0, 0.3), length=64)
PRODUCTS = ProductData(Multiplication(5))


@cache
def printed(name, *words):
    """What the command line prints as the configuration of a recipe."""
    with pytest.raises(SystemExit), redirect_stdout(StringIO()) as out:
        cli.main(["fit", "--config", name, *words, "--print_config"])
    return yaml.safe_load(out.getvalue())


def built(config, spec, device="cpu"):
    model = config["model"]
    options = {"_class_path": model["class_path"], "spec": spec, **model["init_args"]}
    module = instantiate(PredictiveModule, options)
    with torch.device(device):
        module.configure_model()
    return module


@pytest.mark.parametrize(
    ("name", "data", "count"),
    [
        ("lagged_sines", SMALL, 101_633),  # as the reference experiment counts
        # 2 · (12 d² + 13 d) + 2 d of the last norm + 3 d in + (d + 1) out + 64 d, at d = 128
        ("lagged_sines_paper", PUBLISHED, 2 * (12 * 128**2 + 13 * 128) + 70 * 128 + 1),
        # GPT-2 small has 124,439,808; 50,257 tokens and 1,024 positions less 12 and 64
        ("multiplication_paper", PRODUCTS, 124_439_808 - 768 * (50_257 - 12 + 1024 - 64)),
    ],
)
@pytest.mark.slow
def test_models_have_as_many_parameters_as_published(name, data, count):
    module = built(printed(name), data.spec, device="meta")
    assert sum(parameter.numel() for parameter in module.parameters()) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "data", "steps", "batch", "lr", "warmup"),
    [
        ("lagged_sines", SMALL, 600, 96, 3e-3, 30),
        ("lagged_sines_paper", PUBLISHED, 58_593, 512, 1e-3, 586),
        ("multiplication_paper", PRODUCTS, 19_531, 512, 6e-4, 195),
    ],
)
def test_data_and_optimizers_are_those_published(name, data, steps, batch, lr, warmup):
    config = printed(name)
    source, given = (
        config["data"]["init_args"]["source"],
        type(data.source)(**config["data"]["init_args"]["source"]["init_args"]),
    )
    assert source["class_path"].rpartition(".")[2] == type(data.source).__name__
    assert vars(given) == vars(data.source)
    assert config["data"]["init_args"]["batch_size"] == batch
    assert config["trainer"]["max_steps"] == steps
    module = built(config, data.spec, device="meta")
    optimizer = module._optimizer(groups(module, module._matrices))
    schedule = module._schedule(optimizer=optimizer, steps=steps)
    decayed, plain = optimizer.param_groups
    assert (decayed["initial_lr"], decayed["betas"]) == (lr, (0.9, 0.999))
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0)
    factor = schedule.lr_lambdas[0]
    assert factor(warmup) == 1 > factor(warmup - 1)
    assert factor(warmup + (steps - warmup) // 2) == pytest.approx(0.5, abs=0.01)
    assert factor(steps) == 0


@pytest.mark.slow
def test_matrices_of_the_synthetic_experiment_are_drawn_alike():
    module = built(printed("lagged_sines"), SMALL.spec)
    entries = torch.cat([p.flatten() for p in module.parameters() if p.ndim == 2])
    assert entries.std().item() == pytest.approx(0.02, rel=0.01)
    down = module.backbone.blocks[1].feedforward.down.weight
    assert down.std().item() == pytest.approx(0.02, rel=0.03)
    for name, vector in module.named_parameters():
        if vector.ndim == 1:
            gain = name.endswith("norm.weight")
            assert torch.equal(vector, torch.full_like(vector, float(gain))), name


def test_the_length_of_sequences_sets_the_positions():
    config = printed("lagged_sines", "--data.length", "33")
    positions = config["model"]["init_args"]["backbone"]["init_args"]["positions"]
    assert positions["init_args"]["length"] == 33
