"""What the processes of a run must have in common, as plain data that can be compared."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import Trainer

from framework.agreement.meeting import Difference
from framework.checkpoints import read
from framework.data import sketch
from framework.data.module import PredictiveData
from framework.environment import installed_version

PACKAGES = ("overtone", "torch", "lightning", "numpy")  # whose versions must be equal
SOURCES = ("components", "framework")  # and, of a checkout, their code
OWN = (  # what a process may have of its own: nothing that is trained depends on it
    "config",
    "checkpoint.dirpath",
    "data.num_workers",
    "trainer.default_root_dir",
    "trainer.enable_progress_bar",
    "trainer.logger",
    "trainer.profiler",
)
OPTIONS = (  # of a trainer that has no recipe
    *("max_steps", "max_epochs", "min_steps", "min_epochs", "precision", "num_nodes"),
    *("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm"),
    *("limit_train_batches", "limit_val_batches", "overfit_batches", "val_check_interval"),
    *("check_val_every_n_epoch", "num_sanity_val_steps", "log_every_n_steps"),
)
NOTHING = "nothing"


@runtime_checkable
class HasRecipe(Protocol):
    """A callback that knows the complete recipe of the run."""

    def recipe(self) -> Mapping[str, Any]:
        """Returns it as plain data."""


def facts_of(trainer: Trainer, model: Mapping[str, Any], world: int) -> dict[str, Any]:
    """Collects what all processes of a run must have in common.

    That is the recipe (without a recipe, the options of trainer, data and model), the versions of
    the packages that compute and the code of this one, the seed, the step of the checkpoint to go
    on with, the number of processes, and a sketch of the data. Paths are compared by their last
    part, since machines may keep the same files in different folders; what is in them is in the
    sketch.

    Args:
        trainer: The trainer, its data attached.
        model: Description of the model.
        world: Number of processes.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]  # set from outside
    recipes = [c.recipe() for c in trainer.callbacks if isinstance(c, HasRecipe)]  # type: ignore[attr-defined]
    described = recipes[0] if recipes else _described(trainer, data, model)
    options = {name: text for name, text in flat(described) if not _is_own(name)}
    splits = _splits(trainer) if isinstance(data, PredictiveData) else ()
    return {
        "options": {
            "processes": str(world),
            "verb": str(trainer.state.fn and trainer.state.fn.value),
            "seed": os.environ.get("PL_GLOBAL_SEED", NOTHING),
            "step of the checkpoint": step_of(described),
            **options,
            **versions(),
        },
        "data": {split: data.sketch(split) for split in splits},
    }


def differences(first: Mapping[str, Any], own: Mapping[str, Any]) -> list[Difference]:
    """Compares the facts of the first process with those of another one.

    Returns:
        Of each difference its name, the value in the first process, and the other one.
    """
    there, here = first["options"], own["options"]
    found: list[Difference] = []
    for name in dict.fromkeys((*there, *here)):
        of_another_class = any(name.startswith(f"{other}.") for other, *_ in found)
        if there.get(name) != here.get(name) and not of_another_class:
            found.append((name, there.get(name, NOTHING), here.get(name, NOTHING)))
    for split in dict.fromkeys((*first["data"], *own["data"])):
        sketches = first["data"].get(split, {}), own["data"].get(split, {})
        found += [
            (f"{name} of the {split} data", a, b) for name, a, b in sketch.compare(*sketches)
        ]
    return found


def flat(described: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yields the options of a recipe by the names that a command line has for them.

    Example:
        >>> head = {"class_path": "LinearHead", "init_args": {"bins": 8}}
        >>> dict(flat({"model": {"head": head}}))
        {'model.head': 'LinearHead', 'model.head.bins': '8'}
    """
    if isinstance(described, Mapping) and described:
        for key, value in described.items():
            transparent = key in ("class_path", "init_args", "dict_kwargs")
            yield from flat(value, name if transparent else f"{name}.{key}".lstrip("."))
    elif isinstance(described, Sequence) and not isinstance(described, str) and described:
        for number, value in enumerate(described):
            yield from flat(value, f"{name}.{number}")
    elif isinstance(described, str | os.PathLike):
        yield name, os.path.basename(os.path.normpath(described)) if described else "''"
    else:
        yield name, str(described)


@cache
def versions() -> Mapping[str, str]:
    """Returns the versions of what computes, and a digest of our code, by name."""
    found = {f"version of {name}": installed_version(name) for name in PACKAGES}
    return {
        **found,
        "version of Python": ".".join(platform.python_version_tuple()[:2]),
        "code": _code(),
    }


def _code() -> str:
    """Digests the sources: two checkouts may have the same version."""
    root, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for path in sorted(path for name in SOURCES for path in (root / name).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _described(trainer: Trainer, data: Any, model: Mapping[str, Any]) -> dict[str, Any]:
    """Describes a run that has no recipe, as far as one knows."""
    known = ("batch_size", "eval_batch_size", "seed")
    return {
        "trainer": {
            **{name: getattr(trainer, name) for name in OPTIONS},
            "strategy": type(trainer.strategy).__name__,
            "callbacks": sorted(type(c).__name__ for c in trainer.callbacks),  # type: ignore[attr-defined]
        },
        "data": {
            "class_path": type(data).__name__,
            **{name: getattr(data, name, None) for name in known},
        },
        "model": {name: value for name, value in model.items() if name != "spec"},
    }


def _splits(trainer: Trainer) -> tuple[str, ...]:
    """Returns the splits whose examples all processes must have in common."""
    validates = bool(trainer.limit_val_batches)
    if trainer.state.fn == "fit":
        return ("train", "val") if validates else ("train",)
    return ("val",) if trainer.state.fn == "validate" else ()


def step_of(recipe: Mapping[str, Any]) -> str:
    """Returns the step of the checkpoint that a recipe goes on with, if it names one by its path.

    Files of one name may differ: machines need not share a folder.
    """
    path = recipe.get("ckpt_path")
    if not path or not Path(path).exists():
        return NOTHING
    return str(read(path).get("global_step"))


def _is_own(name: str) -> bool:
    return any(name == own or name.startswith(f"{own}.") for own in OWN)
