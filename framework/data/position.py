"""Where a run is in its training data: recorded in checkpoints, and checked when it goes on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from framework.data import sketch
from framework.data.place import place_of
from framework.data.sampling import ENDLESS

if TYPE_CHECKING:
    from framework.data.module import PredictiveData

NOTE = "position"  # where a checkpoint holds it
KEYS = frozenset({"examples", "batch_size", "accumulated", "processes", "seed", "data"})


def record(data: PredictiveData) -> dict[str, Any]:
    """Returns the position of a run in its training data, as plain data.

    Args:
        data: The data, attached to the trainer of the run.

    Returns:
        The `examples` that all processes together have trained on, how they were divided, the
        `seed` of their order, and a sketch of the `data`.
    """
    trainer: Any = data.trainer
    accumulated = trainer.accumulate_grad_batches
    return {
        "examples": trainer.global_step * accumulated * data.batch_size,
        "batch_size": data.batch_size,
        "accumulated": accumulated,
        "processes": place_of(trainer)[1],
        "seed": data.seed,
        "data": data.sketch("train"),
    }


def require(saved: Any, data: PredictiveData) -> None:
    """Checks that a run goes on where it was, and says if the number of processes has changed.

    Steps are counted, so a step must hold the same examples as before: neither the data nor their
    order may change, and `batch_size` and accumulation only together.

    Args:
        saved: What `record` returned when the checkpoint was written; nothing is checked without.
        data: The data, attached to the trainer of the run.

    Raises:
        ValueError: If examples would be skipped or repeated.
    """
    if not (isinstance(saved, Mapping) and saved.keys() >= KEYS):
        return
    here = record(data)
    trainer: Any = data.trainer
    changed = _changed_data(saved, here) or _changed_steps(saved, here)
    if changed:
        raise ValueError(
            f"{changed}, or start a new run from the parameters with --init_from "
            f"{trainer.ckpt_path}."
        )
    if saved["processes"] != here["processes"] and place_of(trainer)[0] == 0:
        print(
            f"Goes on with {here['processes']} processes where {saved['processes']} wrote the "
            "checkpoint: batches stay the same, random numbers such as those of dropout do not.",
            file=sys.stderr,
        )


def _changed_data(saved: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Says how data or their order have changed, "" if they have not."""
    if saved["seed"] != here["seed"]:
        return (
            f"The checkpoint was written with data.seed={saved['seed']}, which sets the order of "
            f"the data, and here it is {here['seed']}: examples would be skipped or repeated; set "
            f"it to {saved['seed']}"
        )
    for name, there, value in sketch.compare(saved["data"], here["data"]):
        return (
            f"The checkpoint was written with other training data ({name}: {there} there, {value} "
            "here): examples would be skipped or repeated; give the same data with the same "
            "options"
        )
    return ""


def _changed_steps(saved: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Says how steps hold other examples than before, "" if they do not."""
    batches, accumulated = (saved["batch_size"], here["batch_size"]), saved["accumulated"]
    steps = batches[0] * accumulated, batches[1] * here["accumulated"]
    size = here["data"][sketch.EXAMPLES]
    if steps[0] != steps[1]:
        return (
            f"The checkpoint was written after {saved['examples']} examples in steps of "
            f"{steps[0]} (data.batch_size={batches[0]}, trainer.accumulate_grad_batches="
            f"{accumulated}), and here steps have {steps[1]} ({batches[1]}, "
            f"{here['accumulated']}): examples would be skipped or repeated; keep their product"
        )
    if size < ENDLESS and size // batches[0] * batches[0] != size // batches[1] * batches[1]:
        return (
            f"With data.batch_size={batches[1]} a pass over {size} examples leaves out others "
            f"than with {batches[0]}, with which the checkpoint was written: examples would be "
            f"skipped or repeated; set it to {batches[0]}"
        )
    return ""
