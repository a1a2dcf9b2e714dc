"""The verbs `import` and `export`, and what can be done with what they leave."""

import numpy as np
import pytest
import torch

import cli
from framework.modules.language import LanguageModel
from tests.framework.exchange.published import (
    GOLDEN,
    config_of,
    drawn,
    golden,
    logits,
    write_hf,
    write_native,
)

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

IDS = GOLDEN["definition"]["ids"]


@pytest.fixture
def golden_model(tmp_path, monkeypatch):
    """A folder with the directory `model` of the golden FANformer, and text of its tokens."""
    monkeypatch.chdir(tmp_path)
    write_native(tmp_path / "model", *golden(GOLDEN["cases"][0]))
    np.save("text.npy", np.array(IDS, np.int64))
    return tmp_path


def told(capsys, *words):
    """What a command that fails says."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


DATA = [
    *("--data", "TokenData", "--data.source", "TokenFiles", "--data.source.train", "text.npy"),
    *("--data.source.val", "text.npy", "--data.source.vocab_size", "11"),
    *("--data.length", "7", "--data.batch_size", "1", "--trainer.accelerator", "cpu"),
]


@pytest.mark.slow
def test_an_import_tells_what_it_found(golden_model, capsys):
    cli.main(["import", "model", "a/model.ckpt"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["format", "architecture", "p", "parameters", "dtype"]
    assert lines[4].split() == ["olmo", "FANformer", "0.25", "1,324", "float32"]
    loaded = LanguageModel.load_from_checkpoint("a/model.ckpt", weights_only=True)
    expected = torch.tensor(GOLDEN["cases"][0]["float64"]["logits"])
    torch.testing.assert_close(logits(loaded, IDS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_an_imported_model_is_tested(golden_model, capsys):
    """The loss of the golden case is that of the command line, which finds the recipe itself."""
    cli.main(["import", "model", "model.ckpt"])
    capsys.readouterr()
    cli.main(["test", *DATA, "--ckpt_path", "model.ckpt", "--trainer.logger", "false"])
    found = dict(x.split()[:2] for x in capsys.readouterr().out.splitlines() if "nll" in x)
    expected = GOLDEN["cases"][0]["float64"]["loss"]
    assert float(found["nll"]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_a_run_starts_from_a_published_model(golden_model, capsys):
    """Without a learning rate it ends where it began, and is exported as it was."""
    cli.main(["import", "model", "model.ckpt"])
    chosen = ["--init_from", "model"]
    run = ["--trainer.max_steps", "1", "--trainer.limit_val_batches", "0", "--model.schedule"]
    settings = ["Constant", "--model.optimizer.lr", "0.0", "--trainer.default_root_dir", "run"]
    words = ["fit", "--config", "model.yaml", *DATA, *run, *settings, "--trainer.logger", "false"]
    cli.main([*words, *chosen])
    cli.main(["export", "run/checkpoints/last.ckpt", "again", "--format", "hf_olmo"])
    found = torch.load("again/pytorch_model.bin", weights_only=True)
    expected = torch.load("model/model.pt", weights_only=True)
    assert set(found) == {f"model.{name}" for name in expected}
    assert all(torch.equal(found[f"model.{name}"], expected[name]) for name in expected)
    capsys.readouterr()
    error = told(capsys, *words, "--ckpt_path", "model.ckpt")
    assert "holds a model only, as imported ones do" in error


def test_an_export_gives_the_files_back(golden_model, capsys):
    cli.main(["import", "model", "model.ckpt"])
    capsys.readouterr()
    cli.main(["export", "model.ckpt", "again"])
    assert capsys.readouterr().out.split() == ["again/model.pt", "again/config.yaml"]
    for name in ("model.pt", "config.yaml"):
        assert (golden_model / "again" / name).read_bytes() == (
            golden_model / "model" / name
        ).read_bytes()


def test_mistakes(golden_model, capsys):
    write_hf(golden_model / "other", config_of(), drawn(p=0.25))
    assert "checkpoint must be given; write `lightning import" in told(capsys, "import", "model")
    assert "use_ATF: false, but the tensors have" in told(capsys, "import", "other", "x.ckpt")
    assert not (golden_model / "x.ckpt").exists()
    assert "There is no directory 'none'" in told(capsys, "import", "none", "x.ckpt")
    assert "There is no checkpoint 'x.ckpt'" in told(capsys, "export", "x.ckpt", "y")
    assert "format: expected one of 'olmo', 'hf_olmo', 'gpt2', " in told(
        capsys, "export", "x", "y", "--format", "bloom"
    )
    cli.main(["import", "model", "x.ckpt"])
    assert "x.ckpt exists already" in told(capsys, "import", "model", "x.ckpt")
    assert "holds a model.pt already" in told(capsys, "export", "x.ckpt", "model")
