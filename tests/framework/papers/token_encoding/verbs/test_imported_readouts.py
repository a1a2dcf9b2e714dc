"""Published models: what `probe`, `edit` and `prune` do with the read-out of an imported one."""

import re

import pytest
import torch
import transformers

import cli
from components.data import TokenBatch
from framework.checkpoints import read
from framework.modules.loading import load_module

# Each trains a model or more, and runs verbs on it.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]

BYTES = [
    *("--data", "TokenData", "--data.source", "PythonLibrary", "--data.source.limit", "40000"),
    *("--data.tokenizer", "ByteTokenizer", "--data.length", "16"),
    *("--sequences", "12", "--accelerator", "cpu"),
]


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A GPT-2 of bytes with random weights, whose read-out is its embedding."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=257, n_positions=16, n_embd=8, n_layer=1, n_head=2, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).save_pretrained(folder / "gpt2")
    cli.main(["import", str(folder / "gpt2"), str(folder / "gpt2.ckpt")])
    return folder / "gpt2.ckpt"


def test_it_is_probed(imported, capsys):
    cli.main(["probe", str(imported), *BYTES])
    said = capsys.readouterr().out
    assert re.search(r"^adjusted R² +0\.9\d+ ", said, re.MULTILINE)  # it knows nothing yet
    assert "Self-test passed" in said


def test_it_is_edited(imported, tmp_path, capsys):
    new = tmp_path / "edited.ckpt"
    words = ["--ids", '{"101": 3, "32": 0.5}', "--untie", "true", "--direction", "bias"]
    cli.main(["edit", str(imported), str(new), *BYTES, *words])
    before, after = read(imported)["state_dict"], read(new)["state_dict"]
    assert after["stem.embedding.weight"].equal(before["stem.embedding.weight"])
    assert after["head.projection.weight"].equal(before["stem.embedding.weight"])
    assert sorted(after.keys() - before.keys()) == [
        "head.projection.bias",
        "head.projection.weight",
    ]
    batch = TokenBatch(*3 * [torch.arange(16)[None] + 90])
    change = load_module(new)(batch).logits - load_module(imported)(batch).logits
    assert change[..., 101].min() > 0.5
    assert change[..., 32].max() < -0.5


def test_it_is_pruned(imported, tmp_path, capsys):
    new = tmp_path / "pruned.ckpt"
    words = ["--fraction", "0.25", "--fold", "true", "--physical", "true", "--untie", "true"]
    cli.main(["prune", str(imported), str(new), *BYTES, *words])
    after = read(new)["state_dict"]
    assert after["head.projection.1.weight"].shape == (257, 6)
    assert load_module(new).head.kept == 6


def test_data_are_to_be_named(imported, capsys):
    with pytest.raises(SystemExit):
        cli.main(["probe", str(imported)])
    assert "names no data; choose some with --data." in capsys.readouterr().err
