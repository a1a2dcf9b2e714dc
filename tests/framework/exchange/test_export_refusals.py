"""A model of ours that OLMo's format does not have is refused in one sentence that names why."""

import re
from dataclasses import replace
from functools import partial

import pytest
import torch

from framework.exchange.conversion import import_directory
from framework.exchange.exporting import export
from tests.framework.exchange.published import config_of, drawn, refusal, write_native

IDENTITY = {"class_path": "torch.nn.Identity"}


def part(name, **options):
    return {"class_path": f"components.{name}", "init_args": options}


def decoder(**changes):
    options = {"dim": 8, "depth": 2, "heads": 2, "feedforward": part("SwiGLU", hidden=12)}
    return part("Decoder", **{**options, **changes})


def fan(**options):
    return part("FanLayer", **{"activation": IDENTITY, **options})


MODELS = [
    ({"backbone": part("Decoder", dim=8, depth=2, heads=2)}, "FeedForward, .* only SwiGLU"),
    ({"backbone": part("MLP", dim=8)}, "the backbone MLP, .* only Decoder"),
    ({"backbone": {"class_path": "components.Gone"}}, "components.Gone, which cannot be"),
    ({"backbone": decoder(bias=True)}, "has Decoder with bias=True"),
    ({"backbone": decoder(head_dim=6)}, "with head_dim=6, .* only head_dim=4"),
    ({"backbone": decoder(norm=part("LayerNorm"))}, "has norm LayerNorm"),
    ({"backbone": decoder(positions="components.Learned")}, "has positions Learned"),
    ({"backbone": decoder(feedforward=part("SwiGLU", bias=True))}, "SwiGLU with bias=True"),
    ({"backbone": decoder(attention=part("ScaledDotProduct", scale=1.0))}, "with scale=1.0"),
    ({"backbone": decoder(projection=fan(gated=True))}, "FanLayer with gated=True"),
    ({"backbone": decoder(projection=fan(p_bias=False))}, "FanLayer with p_bias=False"),
    (
        {"backbone": decoder(projection=fan(activation={"class_path": "torch.nn.ReLU"}))},
        "has activation ReLU, .* only Identity or GELU",
    ),
    (
        {"backbone": decoder(projection=fan(), value=fan(p=0.5))},
        "2 phases of 8 in front of attention and 4 of 8 in the values",
    ),
    ({"backbone": decoder(value=fan())}, "Decoder with value=components.FanLayer"),
    ({"head": part("FourierHead", frequencies=4)}, "has the head FourierHead"),
    ({"head": part("LinearHead")}, "has LinearHead with bias=True"),
    ({"stem": part("FeatureStem")}, "has the stem FeatureStem"),
    ({"tied": False}, "lacks the parameter head.projection.weight"),
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A checkpoint of a plain model that can be exported."""
    folder = write_native(tmp_path_factory.mktemp("plain"), config_of(), drawn())
    held = import_directory(folder).checkpoint
    del held["published"]
    return held


def changed(checkpoint, changes):
    """A checkpoint with other hyper-parameters."""
    options = {**checkpoint["hyper_parameters"], "backbone": decoder(), **changes}
    return {**checkpoint, "hyper_parameters": options}


@pytest.mark.parametrize(("changes", "said"), MODELS, ids=[said for _, said in MODELS])
def test_other_models(changes, said, plain, tmp_path):
    torch.save(changed(plain, changes), tmp_path / "other.ckpt")
    assert re.search(said, refusal(partial(export, tmp_path / "other.ckpt")))


def test_the_model_that_was_changed_is_exported(plain, tmp_path):
    torch.save(changed(plain, {}), tmp_path / "good.ckpt")
    assert export(tmp_path / "good.ckpt").files["model.pt"].keys() == drawn().keys()


def test_what_is_no_checkpoint_of_a_language_model(tmp_path):
    path = tmp_path / "x.ckpt"
    assert "There is no checkpoint" in refusal(partial(export, path))
    torch.save({"pytorch-lightning_version": "2.6.0", "state_dict": {}}, path)
    assert "is of no LanguageModel" in refusal(partial(export, path))


def test_nothing_is_overwritten(plain, tmp_path):
    torch.save(plain, tmp_path / "x.ckpt")
    published = export(tmp_path / "x.ckpt")
    published.write(tmp_path / "a")
    assert "holds a model.pt already" in refusal(partial(published.write, tmp_path / "a"))


@pytest.mark.parametrize("taken", ["README.md", "tokenizer.json", "tokenizer.model"])
def test_a_file_beside_the_model_is_not_overwritten(taken, plain, tmp_path):
    torch.save(plain, tmp_path / "x.ckpt")
    published = export(tmp_path / "x.ckpt")
    texts = {**published.texts, "README.md": "# A card", "tokenizer.json": "{}"}
    binaries = {"tokenizer.model": torch.zeros(3, dtype=torch.uint8)}
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / taken).write_text("mine")
    (folder / "other.txt").touch()
    said = refusal(partial(replace(published, texts=texts, binaries=binaries).write, folder))
    assert f"notes holds a {taken} already; choose another directory" in said
    assert {path.name for path in folder.iterdir()} == {taken, "other.txt"}
    assert (folder / taken).read_text() == "mine"
