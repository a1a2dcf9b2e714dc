"""`--resume auto` goes on where a run was, in its folder, whatever interrupted it."""

import shutil

import pytest
import torch
import yaml
from jsonargparse import Namespace

import cli
from framework.checkpoints import read
from framework.console import resumption
from framework.console.errors import UserError

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

LOGGER = "lightning.pytorch.loggers.TensorBoardLogger"
WORDS = (
    *("--config", "two_peaks", "--config", "smoke", f"--trainer.logger={LOGGER}"),
    *("--trainer.logger.name=run", "--trainer.enable_checkpointing=true"),
    *("--trainer.limit_val_batches=0", "--checkpoint.every_n_train_steps=1"),
)


def fit(root, steps, *more):
    """Runs the same command again, with more steps to take."""
    place = (f"--trainer.default_root_dir={root}", f"--trainer.logger.save_dir={root}")
    cli.main(["fit", *WORDS, *place, f"--trainer.max_steps={steps}", *more])


def last(root, version=0):
    return root / "run" / f"version_{version}" / "checkpoints" / "last.ckpt"


def weights(path):
    return read(path)["state_dict"]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run of two steps, which had to be four."""
    root = tmp_path_factory.mktemp("interrupted")
    fit(root, 2, "--resume", "auto")
    return root


@pytest.fixture
def copied(interrupted, tmp_path):
    """It may be changed; the path of its folder is not the one that it has noted."""
    return shutil.copytree(interrupted, tmp_path / "root", symlinks=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    fit(root, 4)
    return weights(last(root))


def same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_the_same_command_goes_on_in_the_same_folder(whole, tmp_path, capsys):
    for steps in (2, 4):
        fit(tmp_path, steps, "--resume", "auto")
    said = capsys.readouterr().err
    assert said.index("Nothing to resume yet: starts.") < said.index(f"Resumes {last(tmp_path)}")
    same(weights(last(tmp_path)), whole)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["version_0"]
    names = {path.name for path in last(tmp_path).parent.iterdir()}
    assert names == {"last.ckpt", "step=3.ckpt", "step=4.ckpt"}
    saved = yaml.safe_load((tmp_path / "run" / "version_0" / "config-1.yaml").read_text())
    assert saved["trainer"]["logger"]["init_args"]["version"] is None
    assert "resume" not in saved


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over(copied, whole, capsys):
    newest = last(copied).resolve()
    newest.write_bytes(newest.read_bytes()[:-100])
    fit(copied, 4, "--resume", "auto")
    said = capsys.readouterr().err
    assert "Damaged: " in said
    assert f"Resumes {newest.with_name('step=1.ckpt')}" in said
    same(weights(last(copied)), whole)


@pytest.mark.slow
def test_a_preempted_job_goes_on_where_slurm_saved_it(whole, tmp_path, capsys):
    """It counts as long as it was written last; it knows the folder of the run."""
    fit(tmp_path, 2)
    preempted = tmp_path / "hpc_ckpt_1.ckpt"
    shutil.copy(last(tmp_path).with_name("step=1.ckpt"), preempted)
    fit(tmp_path, 3, "--resume", "auto")
    assert f"Resumes {preempted}" in capsys.readouterr().err
    fit(tmp_path, 4, "--resume", "auto")
    assert f"Resumes {last(tmp_path)}" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["version_0"]
    same(weights(last(tmp_path)), whole)


def test_a_path_goes_on_with_that_checkpoint_and_needs_no_recipe(copied, tmp_path, capsys):
    """The recipe beside it lets the logger follow the folder of the run."""
    step, new = last(copied).with_name("step=1.ckpt"), tmp_path / "new"
    place = f"--trainer.default_root_dir={new}"
    cli.main(["fit", "--resume", str(step), "--trainer.max_steps=4", place])
    assert f"Recipe of the checkpoint: {copied}" in capsys.readouterr().err
    assert last(new).is_symlink()
    assert list(last(new).parent.parent.glob("events.out.*"))


def options(root, **changes):
    known = {"default_root_dir": str(root), "logger": False}
    checkpoint = Namespace(dirpath=None)
    given = {"resume": "auto", "ckpt_path": None, "init_from": None, **changes}
    return Namespace(trainer=Namespace(known), checkpoint=checkpoint, **given)


def test_a_first_start_may_come_from_elsewhere(tmp_path, capsys):
    config = options(tmp_path, ckpt_path="other.ckpt")
    assert resumption.resolve(config) == ""
    assert "Nothing to resume yet" in capsys.readouterr().err
    assert (config.ckpt_path, "resume" in config) == ("other.ckpt", False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"resume": "a.ckpt", "ckpt_path": "b.ckpt"}, "--resume a.ckpt and --ckpt_path both name"),
        ({"resume": "a.ckpt", "init_from": "b.ckpt"}, "--resume a.ckpt and --init_from both name"),
        ({"resume": "never", "ckpt_path": "b.ckpt"}, "--resume never starts a run, --ckpt_path"),
    ],
)
def test_contradictions_are_one_sentence(changes, said, tmp_path):
    with pytest.raises(UserError, match=said):
        resumption.resolve(options(tmp_path, **changes))


def test_never_is_refused_where_slurm_would_resume(tmp_path, monkeypatch):
    (tmp_path / "hpc_ckpt_1.ckpt").touch()
    assert resumption.resolve(options(tmp_path, resume="never")) == ""
    monkeypatch.setattr(resumption.SLURMEnvironment, "detect", staticmethod(lambda: True))
    with pytest.raises(UserError, match=r"a Slurm job goes on with .*hpc_ckpt_1.ckpt; remove"):
        resumption.resolve(options(tmp_path, resume="never"))


def test_all_damaged_is_one_sentence(tmp_path):
    (tmp_path / "hpc_ckpt_1.ckpt").touch()
    with pytest.raises(UserError, match="No checkpoint of this run can be read"):
        resumption.resolve(options(tmp_path))
