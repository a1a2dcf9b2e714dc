"""Resolves `--ckpt_path`: finds the newest checkpoint of a run, and the recipe beside one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import yaml

from framework.checkpoints import is_complete, of_run, read, recipe_of
from framework.console.errors import UserError
from framework.packaged import locate

INITIAL = "initial"  # scores the weights that a run would start with
SEARCHED = ("best", "last")  # found in the folder of the run
REQUEUED = "hpc"  # what a Slurm job saved before it was queued again; Lightning finds it
KEYWORDS = (INITIAL, *SEARCHED, REQUEUED)
WHEN = ("auto", "never")  # what `--resume` takes in place of a path
HELP = frozenset({"-h", "--help"})
PARTS = ("model", "data")


def with_recipe(args: Sequence[str]) -> list[str]:
    """Puts the recipe beside a checkpoint before all others, unless model and data are named.

    Args:
        args: Words of a command line, the verb first; recipes are given by path.

    Raises:
        ValueError: If the checkpoint cannot be read, or no recipe lies beside it.
    """
    if not takes_recipe(args):
        return list(args)
    recipe = recipe_of(_path(args))
    print(f"Recipe of the checkpoint: {recipe}", file=sys.stderr)
    return [args[0], "--config", str(recipe), *args[1:]]


def takes_recipe(args: Sequence[str]) -> bool:
    """Whether a command line takes the recipe beside a checkpoint, as it names no other.

    Args:
        args: Words of a command line, the verb first; recipes are given by path.
    """
    named = _path(args) not in ("", *KEYWORDS, *WHEN)
    return named and not HELP & set(args) and not _names_parts(args)


def resolve(verb: str, path: str | None, trainer: Mapping[str, Any], dirpath: str | None) -> str:
    """Returns the path of a checkpoint, "" to load none, or `hpc`.

    Args:
        verb: What is to be done with it.
        path: What `--ckpt_path` says.
        trainer: Options of the trainer, which say where runs of the recipe are kept.
        dirpath: Folder of the checkpoints, if they are kept elsewhere.

    Raises:
        UserError: If there is no such checkpoint, or none is named for a verb that needs one.
    """
    if verb != "fit" and not path:
        raise UserError(
            f"{verb} reads the weights of a trained model; give --ckpt_path PATH, or "
            f"--ckpt_path last for the newest run of the recipe (--ckpt_path {INITIAL} takes the "
            "weights that a run would start with)."
        )
    if verb == "fit" and path == INITIAL:
        raise UserError("fit starts with initial weights anyway; drop --ckpt_path initial.")
    if path in SEARCHED:
        found = str(_newest(path, Path(dirpath) if dirpath else None, trainer))
        print(f"Checkpoint: {found}", file=sys.stderr)
        return found
    return "" if path is None or path == INITIAL else str(locate(path))


def _path(args: Sequence[str]) -> str:
    given = [*_values(args, "--ckpt_path"), *_values(args, "--resume")]
    return next(iter(reversed(given)), "")


def _newest(name: str, dirpath: Path | None, trainer: Mapping[str, Any]) -> Path:
    """Finds the checkpoint that was written last over all versions of a run, or the best then."""
    folder, pattern = place_of(dirpath, trainer)
    newest = usable(of_all_versions(dirpath, trainer))
    if newest is None:
        raise UserError(
            f"--ckpt_path {name}: there is no last.ckpt in {folder / pattern}; give the path of a "
            "checkpoint, or the --config of the run and its --trainer.default_root_dir."
        )
    if name == "last":
        return newest
    records = read(newest).get("callbacks", {}).values()
    best = next((record["best_model_path"] for record in records if _has_best(record)), "")
    if not best or not (newest.parent / Path(best).name).exists():
        raise UserError(
            f"--ckpt_path {name}: the run that wrote {newest} kept no best checkpoint; it is "
            "written after a validation; use --ckpt_path last, or give a path."
        )
    return newest.parent / Path(best).name


def of_all_versions(dirpath: Path | None, trainer: Mapping[str, Any]) -> list[Path]:
    """Returns the last checkpoints in all versions of a run.

    Args:
        dirpath: Folder of the checkpoints, if it is not in that of the run.
        trainer: Options of the trainer, which say where runs of the recipe are kept.
    """
    folder, pattern = place_of(dirpath, trainer)
    return [path for place in folder.glob(pattern) for path in of_run(place)]


def usable(found: Sequence[Path]) -> Path | None:
    """Returns the newest checkpoint that can be read, and says which cannot.

    Args:
        found: Checkpoints in any order.

    Raises:
        UserError: If none of them can be read.
    """
    damaged: list[Path] = []
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        if is_complete(path):
            if damaged:
                names = " and ".join(map(str, damaged))
                print(f"Damaged: {names}; the one before is used.", file=sys.stderr)
            return path
        damaged.append(path)
    if damaged:
        raise UserError(
            f"No checkpoint of this run can be read, {damaged[0]} for example is damaged; "
            "start a new run."
        )
    return None


def _has_best(record: Any) -> bool:
    return isinstance(record, Mapping) and bool(record.get("best_model_path"))


def place_of(dirpath: Path | None, trainer: Mapping[str, Any]) -> tuple[Path, str]:
    """Returns the folder of a run, and the pattern of the folders of checkpoints in it."""
    if dirpath:
        return dirpath.resolve().parent, escape(dirpath.resolve().name)
    root, logger = Path(trainer["default_root_dir"] or "."), trainer["logger"]
    if isinstance(logger, list):
        logger = logger[0] if logger else None
    if not logger:
        return root, "checkpoints"
    options = {"name": "lightning_logs"} if logger is True else dict(logger["init_args"])
    name = options.get("project") or options.get("name") or ""
    return Path(options.get("save_dir") or root) / name, "*/checkpoints"


def _names_parts(args: Sequence[str]) -> bool:
    """Whether a command line names the classes of model and data."""
    recipes = [yaml.safe_load(Path(path).read_text("utf-8")) for path in _recipes(args)]
    named = {part for part in PARTS for recipe in recipes if _names_class(recipe.get(part))}
    return named | {part for part in PARTS if [*_values(args, f"--{part}")]} == set(PARTS)


def _names_class(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, Mapping) and "class_path" in part)


def _recipes(args: Sequence[str]) -> Iterator[str]:
    for option in ("-c", "--config"):
        yield from _values(args, option)


def _values(args: Sequence[str], option: str) -> Iterator[str]:
    """Yields the values of an option, in the order of the command line."""
    for word, following in zip(args, [*args[1:], ""], strict=True):
        if word == option and following:
            yield following
        elif word.startswith(f"{option}="):
            yield word.partition("=")[2]
