"""The verbs `import` and `export`, and what can be done with what they leave."""

import numpy as np
import pytest
import torch

import cli
from framework.generation import generate
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


def test_one_file_gives_the_files_back_as_well(golden_model):
    cli.main(["import", "model", "model.ckpt"])
    cli.main(["export", "model.ckpt", "model.safetensors"])
    cli.main(["export", "model.safetensors", "again"])
    for name in ("model.pt", "config.yaml"):
        again, before = (golden_model / folder / name for folder in ("again", "model"))
        assert again.read_bytes() == before.read_bytes()


def test_one_file_writes_the_texts_of_its_checkpoint(written, tmp_path):
    file = tmp_path / "model.safetensors"
    cli.main(["export", str(written.checkpoint), str(file)])
    assert generate(file, ["The license"]) == generate(written.checkpoint, ["The license"])


@pytest.mark.parametrize("name", ["x.yaml", "x.safetensors", "llama-3.1"])
def test_an_import_writes_a_checkpoint(golden_model, name, capsys):
    """Its recipe beside it has the same name but for the suffix."""
    assert f"{name} must end in .ckpt; rename it" in told(capsys, "import", "model", name)


def fail(path, *_):
    """Writes as a full disk lets it."""
    path.touch()
    raise OSError(28, "No space left on device")


def test_an_import_that_fails_can_be_repeated(golden_model, capsys, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr("framework.whole_files.os.fsync", lambda file: fail(golden_model / "model"))
        said = told(capsys, "import", "model", "x.ckpt")
        assert "x.ckpt could not be written (No space left on device); make room" in said
    with monkeypatch.context() as full:
        full.setattr("framework.exchange.verbs.import_.write_text", lambda *_: fail(golden_model))
        told(capsys, "import", "model", "x.ckpt")
    assert {path.name for path in golden_model.iterdir()} == {"model", "text.npy"}
    cli.main(["import", "model", "x.ckpt"])


def test_an_export_that_fails_can_be_repeated(golden_model, capsys, monkeypatch):
    cli.main(["import", "model", "x.ckpt"])
    capsys.readouterr()
    with monkeypatch.context() as full:
        full.setattr("framework.exchange.files.write_pickled", fail)
        assert "y could not be written (No space" in told(capsys, "export", "x.ckpt", "y")
    assert not (golden_model / "y").exists()
    (golden_model / "y" / ".tmp").mkdir(parents=True)  # as of a process that was killed
    cli.main(["export", "x.ckpt", "y"])
    assert {path.name for path in (golden_model / "y").iterdir()} == {"config.yaml", "model.pt"}


def test_tensors_of_an_export_that_was_not_completed_are_not_mixed_with_others(
    golden_model, capsys
):
    cli.main(["import", "model", "x.ckpt"])
    capsys.readouterr()
    (golden_model / "y").mkdir()
    (golden_model / "y" / "model-00001-of-00003.safetensors").touch()
    said = told(capsys, "export", "x.ckpt", "y")
    assert "y holds a model-00001-of-00003.safetensors already; choose another dir" in said


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
