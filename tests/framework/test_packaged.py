"""Models in one safetensors file: the same as their checkpoints, and safe to read."""

import json

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from cli import main
from components.data import SeriesSpec
from components.supports import Interval
from framework import forecast, packaged, tensor_files
from framework.checkpoints import load_parameters, read
from framework.data import Arrays
from framework.modules.loading import load_module
from framework.packaged import KEY, LONG, locate, read_packaged, write_packaged

SERIES = Arrays([[float(x % 4) + 0.1 * x for x in range(30)] for _ in range(3)], season=12)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A forecaster after two steps."""
    folder = tmp_path_factory.mktemp("run")
    words = ["--trainer.default_root_dir", str(folder), "--trainer.enable_checkpointing", "true"]
    main(["fit", "--config", "quickstart", "--config", "smoke", *words])
    return next(folder.rglob("last.ckpt"))


@pytest.mark.slow
def test_an_exported_model_forecasts_as_its_checkpoint(checkpoint, tmp_path, capsys):
    file = tmp_path / "models" / "mine.safetensors"
    main(["export", str(checkpoint), str(file)])
    assert str(file) in capsys.readouterr().out
    one, two = load_module(checkpoint), load_module(file)
    assert one.spec == two.spec
    for (name, value), other in zip(
        one.state_dict().items(), two.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), name
    assert forecast(checkpoint, SERIES).equals(forecast(file, SERIES))
    plain = read(checkpoint)["hyper_parameters"]
    assert read(file)["hyper_parameters"] == plain
    assert file.stat().st_size < checkpoint.stat().st_size / 2


@pytest.mark.slow
def test_nothing_is_overwritten_and_no_option_ignored(checkpoint, tmp_path, capsys):
    file = tmp_path / "mine.safetensors"
    file.write_text("precious")
    with pytest.raises(SystemExit):
        main(["export", str(checkpoint), str(file)])
    assert "exists already" in capsys.readouterr().err
    assert file.read_text() == "precious"
    with pytest.raises(SystemExit):
        main(["export", str(checkpoint), str(tmp_path / "x.safetensors"), "--format", "olmo"])
    assert "--format olmo is that of a directory" in capsys.readouterr().err


def test_specs_come_back_as_they_were(tmp_path):
    spec = SeriesSpec(Interval(-1.0, 2.0, (3,)), 4, 5, 6, scaling={"class_path": "x"})
    write_packaged(tmp_path / "a.safetensors", {"spec": spec, "list": [1, [2]]}, {})
    assert read_packaged(tmp_path / "a.safetensors")["hyper_parameters"] == {
        "spec": spec,
        "list": [1, [2]],
    }


def test_what_else_a_checkpoint_holds_comes_back(tmp_path):
    notes = {"tokenizer": {"json": "é" * (LONG + 1), "end": "é"}, "scales": {"mean": [0.1, 3.0]}}
    tensors = {"mask": torch.ones(2, 3), "bytes": torch.zeros(0, dtype=torch.uint8)}
    state = {"weight": torch.ones(2)}
    path = tmp_path / "a.safetensors"
    write_packaged(path, {"dim": 2}, state, notes | {"published": tensors})
    found = read(path)
    assert {name: found[name] for name in notes} == notes
    for name, value in tensors.items():
        assert torch.equal(found["published"][name], value)
        assert found["published"][name].dtype == value.dtype
    assert found["state_dict"].keys() == state.keys()
    assert found["hyper_parameters"] == {"dim": 2}


def test_what_is_no_plain_data_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cannot \(.*set is not JSON serializable\); use the ch"):
        write_packaged(tmp_path / "a.safetensors", {}, {}, {"x": {1}})


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def fail(tensors, path, metadata):
        path.touch()
        raise SafetensorError("Error: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(tensor_files, "save_file", fail)
    with pytest.raises(OSError, match="No space left on device"):
        write_packaged(tmp_path / "a.safetensors", {}, {"x": torch.ones(1)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "does not say how its model was built; give one that `overtone export` wrote"),
        ({"fact": "os.system", "options": {}}, "asks for os.system, which is no fact of data"),
        ({"fact": "components.FourierHead", "options": {}}, "asks for components.FourierHead"),
    ],
)
def test_foreign_files_are_refused(metadata, message, tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {"x": torch.ones(2)}
    save_file(tensors, path, None if metadata is None else {KEY: json.dumps({"a": metadata})})
    with pytest.raises(ValueError, match=message):
        read(path)


def test_damaged_files_are_refused(checkpoint, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="is damaged or not a safetensors file"):
        read(path)


def test_a_file_goes_before_a_shipped_model_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packaged, "shipped", lambda: {"mine": tmp_path / "elsewhere"})
    assert locate("mine") == tmp_path / "elsewhere"
    assert str(locate("other")) == "other"
    (tmp_path / "mine").touch()
    assert str(locate("mine")) == "mine"


@pytest.mark.parametrize("name", packaged.shipped())
def test_shipped_models_are_small_and_have_a_card(name):
    path = packaged.shipped()[name]
    assert path.stat().st_size <= 4 * 10**6
    assert path.with_suffix(".md").is_file()
    assert all(value.isfinite().all() for value in load_parameters(path).values())
