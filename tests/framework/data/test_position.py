"""A run goes on where it was in its data, or says why it cannot; a checkpoint knows where."""

import copy

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from framework.data import sketch
from framework.data.tokens.module import TokenData
from framework.data.tokens.token_files import TokenFiles
from tests.framework.modules import fakes
from tests.ranks import run_ranks


class SaveThird(Callback):
    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 3:
            trainer.save_checkpoint(self.path)


def save(folder):
    settings = {"max_steps": 6, "callbacks": [SaveThird(folder / "third.ckpt")]}
    return fakes.fit(settings, served=fakes.Rows())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint of three steps of 8 of 48 examples, and the weights after six."""
    folder = tmp_path_factory.mktemp("saved")
    return folder / "third.ckpt", save(folder)["weights"]


def go_on(path, accumulate=1, devices=1, **options):
    settings = {"max_steps": 6, "accumulate_grad_batches": accumulate, "devices": devices}
    strategy = {"strategy": "ddp"} if devices > 1 else {}
    served = fakes.Rows(**options)
    return fakes.fit({**settings, **strategy}, ckpt_path=path, served=served)["weights"]


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6, msg=name)


def test_a_checkpoint_records_the_position_in_plain_data(saved):
    held = torch.load(saved[0], weights_only=True)["position"]
    drawn = held.pop("data")
    assert held == {
        "examples": 24,
        "batch_size": 8,
        "accumulated": 1,
        "processes": 1,
        "seed": 1,
    }
    assert drawn["examples"] == 48
    assert list(drawn) == ["examples", "features", "target", "weight"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 24}, r"other training data \(examples: 48 there, 24 here\): .* give the same"),
        ({"seed": 2}, r"with data.seed=1, .* here it is 2: .*; set it to 1, or start"),
        (
            {"batch_size": 4},
            r"after 24 examples in steps of 8 \(data.batch_size=8, "
            r"trainer.accumulate_grad_batches=1\), and here steps have 4 \(4, 1\): .* product",
        ),
        ({"accumulate": 2}, r"steps have 16 \(8, 2\)"),
    ],
)
def test_what_would_skip_or_repeat_examples_is_refused(changes, said, saved):
    with pytest.raises(ValueError, match=said) as error:
        go_on(saved[0], **changes)
    assert str(error.value).endswith(f"new run from the parameters with --init_from {saved[0]}.")


def test_other_values_are_recognized(saved, monkeypatch):
    changed = fakes.examples(48)
    changed.target[0] += 1
    monkeypatch.setattr(fakes, "examples", lambda size: changed)
    with pytest.raises(ValueError, match=r"other training data \(sample of target: .* there"):
        go_on(saved[0])


def test_the_same_steps_in_smaller_batches_are_the_same_run(saved):
    same(go_on(saved[0], accumulate=2, batch_size=4), saved[1])


def test_batches_that_leave_out_other_examples_are_refused(tmp_path):
    settings = {"max_steps": 3, "accumulate_grad_batches": 1, "callbacks": []}
    settings["callbacks"] = [SaveThird(tmp_path / "third.ckpt")]
    fakes.fit(settings, served=fakes.Rows(size=44))
    with pytest.raises(
        ValueError, match=r"batch_size=4 a pass over 44 .* than with 8, .* to 8, or"
    ):
        go_on(tmp_path / "third.ckpt", accumulate=2, batch_size=4, size=44)


def test_another_number_of_processes_is_said_and_changes_nothing(saved, capfd):
    for weights in run_ranks(go_on, 2, saved[0], 1, 2):
        same(weights, saved[1])
    said = capfd.readouterr().err
    assert said.count("Goes on with 2 processes where 1 wrote the checkpoint: batches") == 1


def test_a_checkpoint_without_a_whole_position_goes_on(saved, tmp_path):
    checkpoint = copy.copy(torch.load(saved[0], weights_only=True))
    checkpoint["position"] = {"examples": 24}
    torch.save(checkpoint, tmp_path / "older.ckpt")
    same(go_on(tmp_path / "older.ckpt"), saved[1])


def test_evaluation_may_have_other_data(saved):
    model = fakes.module()
    fakes.trainer().test(model, fakes.Rows(size=24, seed=9), ckpt_path=saved[0], verbose=False)


def test_a_file_of_tokens_that_was_cut_in_half_is_recognized(tmp_path):
    ids = np.random.default_rng(0).integers(0, 100, 4001).astype(np.uint16)
    path = tmp_path / "tokens.bin"
    ids.tofile(path)

    def drawn():
        source = TokenFiles(str(path), str(path), vocab_size=100)
        return TokenData(source, length=16).sketch("train")

    whole = drawn()
    ids[:2001].tofile(path)
    assert list(sketch.compare(whole, drawn())) == [("examples", "250", "125")]
    np.r_[ids[:-1000], ids[:1000]].tofile(path)
    assert [name for name, *_ in sketch.compare(whole, drawn())] == [
        *("sample of tokens", "sample of target"),
    ]
