"""The head that CONTRIBUTING.md adds in three steps works as it stands there."""

import importlib
import re
from pathlib import Path

import pytest
import torch
from torch.distributions import Laplace

import cli
from components.supports import Interval, Tokens
from components.testing import HEAD_LAWS
from tests.components.heads.every_head import BINS, INTERVALS

TEXT = (Path(cli.__file__).parent / "CONTRIBUTING.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


HEAD, LAWS = blocks("python")
(OVERLAY,) = blocks("yaml")


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    (folder / "contributed_laplace.py").write_text(HEAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("contributed_laplace")


@pytest.mark.parametrize("support", INTERVALS + BINS, ids=str)
def test_head_predicts_the_distribution_that_it_names(support, module):
    head = module.LaplaceHead(8, support)
    distribution = head(torch.randn(3, 5, 8))
    base = distribution.base_dist if support.shape else distribution
    assert isinstance(base, Laplace)
    assert (distribution.batch_shape, distribution.event_shape) == ((3, 5), support.shape)
    assert (base.scale > 0).all()
    assert {name.partition(".")[0] for name, _ in head.named_parameters()} == {"projection"}


def test_head_refuses_in_one_sentence(module):
    with pytest.raises(ValueError, match="LaplaceHead predicts real values, not Tok"):
        module.LaplaceHead(8, Tokens(4))
    with pytest.raises(ValueError, match="LaplaceHead: sharpness=0 is not positive"):
        module.LaplaceHead(8, Interval(0.0, 1.0), sharpness=0)


@pytest.mark.parametrize("law", HEAD_LAWS, ids=lambda law: law.__name__)
@pytest.mark.usefixtures("module")
def test_laws_hold_in_a_package_of_its_own(law):
    names = {}
    exec(LAWS, names)
    names["test_laplace_head"](law)


def test_overlay_trains_and_the_option_is_on_the_command_line(module, tmp_path, capsys):
    overlay = tmp_path / "laplace.yaml"
    overlay.write_text(OVERLAY.replace("LaplaceHead", "contributed_laplace.LaplaceHead"))
    root = f"--trainer.default_root_dir={tmp_path}"
    smoke = ("--config", "two_peaks", "--config", "smoke")
    cli.main(["fit", *smoke, "--config", str(overlay), root, "--model.head.sharpness=2"])
    said = capsys.readouterr().out
    assert re.search(r"head\s+LaplaceHead\s+130\b", said), said  # 64 · 2 weights and 2 biases
    assert re.search(r"nll\s+-?\d", said)


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`((?:components|tests|framework)/[\w/]+\.py)", TEXT)))
)
def test_files_that_are_named_exist(name):
    assert name.endswith("laplace.py") or (Path(cli.__file__).parent / name).is_file()
