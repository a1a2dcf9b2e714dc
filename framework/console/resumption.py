"""`--resume`: a run that was interrupted, by whatever it was, goes on in its own folder."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from framework.checkpoints import read
from framework.console.checkpoint_path import of_all_versions, place_of, usable
from framework.console.errors import UserError

FLAG = "--resume"
AUTO, NEVER = "auto", "never"
HELP = (
    "`auto` goes on with the newest checkpoint of the run that can be read, or starts if there is "
    "none; `never` always starts; a path goes on with that checkpoint. The run keeps its folder."
)
PREEMPTED = "hpc_ckpt_*.ckpt"  # what a Slurm job saves before it is queued again
APPENDING = ("TensorBoardLogger", "WandbLogger")  # to what they find under a version


def resolve(config: Namespace) -> str:
    """Takes the option `resume` from those of `fit`; returns the checkpoint to go on with, or "".

    With `auto` a first start may have `--ckpt_path` or `--init_from`, which a later one overrides.

    Args:
        config: Options of the verb; changed in place, so that a saved recipe does not resume.

    Raises:
        UserError: If it contradicts another option, or no checkpoint of the run can be read.
    """
    wish, trainer = config.pop("resume", None), config.trainer.as_dict()
    if wish is None:
        return ""
    root = Path(trainer["default_root_dir"] or ".")
    preempted = list(root.glob(PREEMPTED))
    if wish == NEVER:
        _require_start(config, preempted)
        return ""
    if wish != AUTO:
        other = "--ckpt_path" if config.ckpt_path else "--init_from"
        if config.ckpt_path or config.get("init_from"):
            raise UserError(f"--resume {wish} and {other} both name what to start from; drop one.")
        return str(wish)
    found = usable([*of_all_versions(_dirpath(config), trainer), *preempted])
    print(f"Resumes {found}" if found else "Nothing to resume yet: starts.", file=sys.stderr)
    return str(found or "")


def command(program: str, words: Sequence[str]) -> str:
    """Returns the command line that goes on with a run.

    Args:
        program: Name of the command.
        words: Its arguments as they were given.

    Example:
        >>> command("overtone", ["fit", "--config", "two_peaks", "--resume=never"])
        'overtone fit --config two_peaks --resume auto'
    """
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if FLAG not in (before, word) and not word.startswith(f"{FLAG}=")
    ]
    return shlex.join([program, *kept, FLAG, AUTO])


def _require_start(config: Namespace, preempted: list[Path]) -> None:
    if config.ckpt_path:
        raise UserError("--resume never starts a run, --ckpt_path goes on with one; drop one.")
    if preempted and SLURMEnvironment.detect():  # Lightning would load it
        raise UserError(
            f"--resume never: a Slurm job goes on with {preempted[0]}; remove that file, or "
            "choose another --trainer.default_root_dir."
        )


@contextmanager
def in_its_folder(config: Namespace, path: str) -> Iterator[None]:
    """Lets loggers, when they are built, write where the run that is resumed has written.

    Args:
        config: Options of the verb; as they were afterwards, since a saved recipe has no version.
        path: The checkpoint to go on with, or "".
    """
    version = _version(config, Path(path)) if path else ""
    loggers = config.trainer.logger if version else []
    first = loggers[:1] if isinstance(loggers, list) else [loggers]  # whose folder is the run's
    changed = [logger.init_args for logger in first if _can_append(logger)]
    for options in changed:
        options.version = version
    if path:
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
    try:
        yield
    finally:
        for options in changed:
            options.version = None


def _version(config: Namespace, path: Path) -> str:
    """Returns the name of the folder of a run, "" if its logger has none or it lies elsewhere."""
    folder, pattern = place_of(_dirpath(config), config.trainer.as_dict())
    place = path.parent
    if path.match(PREEMPTED):
        records = read(path).get("callbacks", {}).values()
        known = (r["dirpath"] for r in records if isinstance(r, Mapping) and r.get("dirpath"))
        place = Path(next(known, place))
    is_inside = place.resolve() in {other.resolve() for other in folder.glob(pattern)}
    return place.parent.name if is_inside and "*" in pattern else ""


def _can_append(logger: Any) -> bool:
    if not isinstance(logger, Namespace):
        return False
    return logger.class_path.endswith(APPENDING) and logger.init_args.get("version") is None


def _dirpath(config: Namespace) -> Path | None:
    return Path(config.checkpoint.dirpath) if config.checkpoint.dirpath else None
