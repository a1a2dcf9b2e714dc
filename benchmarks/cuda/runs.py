"""Recipes on a device by the command line: end to end, in half precision, sharded, and timed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

import cli
from benchmarks.cuda.checks import Disagreement, Place, distance, per_second
from framework.checkpoints import parameters

LANGUAGE = "fanformer/tiny"
APART = 0.3  # nats; float16 skips some of the first steps to scale its losses
LEAST_LEARNED = 0.5  # nats that 60 steps of that recipe take off ln 257


def quickstart(place: Place) -> str:
    """Trains the forecasts of the quickstart, then tests and predicts from its checkpoint."""
    steps = place.size(100, 2)
    words = [] if not place.small else ["--config", "smoke"]
    more = ["--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
    folder = _fit(place, "quickstart", steps, "run", *words, *more)
    checkpoint = _last(folder)
    return f"val nll {_nll(folder):.4g} after {steps} steps; {_verbs(place, checkpoint)}"


def language(place: Place) -> str:
    """Trains a language model, and resumes it half-way: both must end with the same weights."""
    half = place.size(30, 1)
    constant = "--model.schedule=Constant"  # so that half a run is the first half of the whole
    whole = _fit(place, LANGUAGE, 2 * half, "whole", constant)
    part = _fit(place, LANGUAGE, half, "half", constant)
    first = _last(part)
    resumed = _fit(place, LANGUAGE, 2 * half, "rest", constant, f"--ckpt_path={first}")
    away = _apart(parameters(_last(whole)), parameters(_last(resumed)), 1e-2)
    moved = _apart(parameters(first), parameters(_last(resumed)), math.inf)
    if moved <= away:
        raise Disagreement(f"the resumed run moved {moved:.2g}, and is off {away:.2g}")
    learned = math.log(257) - _nll(whole)
    if not place.small and learned < LEAST_LEARNED:
        raise Disagreement(f"{2 * half} steps took {learned:.3g} nats off, not {LEAST_LEARNED}")
    same = "to the bit" if away == 0 else f"to {away:.1g}"
    return f"val nll {_nll(whole):.4g}; resumed run agrees {same}; {_verbs(place, _last(whole))}"


def precisions(place: Place) -> str:
    """Trains in bfloat16 and float16, mixed and whole; float16 needs a GPU."""
    steps, found = place.size(60, 2), {}
    for name in place.size(("", "bf16", "bf16_true", "fp16"), ("", "bf16")):
        overlay = ["--config", f"precision/{name}"] if name else []
        found[name or "fp32"] = _nll(_fit(place, LANGUAGE, steps, f"run{name}", *overlay))
    for name, nll in found.items():
        if not abs(nll - found["fp32"]) < APART:
            raise Disagreement(f"val nll is {nll:.4g} in {name}, {found['fp32']:.4g} in fp32")
    return "val nll " + ", ".join(f"{name} {nll:.4g}" for name, nll in found.items())


def sharded(place: Place) -> str:
    """Trains with FSDP2 in one process: it must end as a run without it does."""
    steps = place.size(20, 2)
    whole = _fit(place, LANGUAGE, steps, "whole")
    parts = _fit(place, LANGUAGE, steps, "parts", "--config", "strategy/fsdp2")
    away = _apart(parameters(_last(whole)), parameters(_last(parts)), 1e-2)
    return f"distance from a run without it {away:.1g} after {steps} steps"


def speed(place: Place) -> str:
    """Measures steps of fanformer/300m, eight windows of bytes at a time, its vocabulary."""
    return _bench(place)


def speed_compiled(place: Place) -> str:
    """Measures the same with compiled blocks."""
    return _bench(place, "--model.execution.compile=true")


def _bench(place: Place, *more: str) -> str:
    sizes = {
        "data.source": "StateOfTheUnion",
        "data.tokenizer": "ByteTokenizer",
        "data.multiple": place.size(50_304, 128),
        "data.batch_size": place.size(8, 2),
        "data.length": place.size(2048, 16),
        "data.num_workers": place.size(2, 0),
        "trainer.accumulate_grad_batches": 1,
        **place.size({}, {"model.backbone.dim": 16, "model.backbone.depth": 1}),
        **place.size({}, {"model.backbone.heads": 2}),
        "warmup": place.size(8, 1),
        "steps": place.size(20, 2),
    }
    if place.small:
        more = (*more, "--model.backbone.feedforward.hidden=${equal_parameters:64}")
    words = [f"--{name}={value}" for name, value in sizes.items()]
    words += ["--config", "precision/bf16", "--output=speed.json", *_hardware(place), *more]
    cli.main(["bench", "--config", "fanformer/300m", *words])
    found = json.loads(Path("speed.json").read_text(encoding="utf-8"))
    used = "not known" if found["mfu"] is None else f"{found['mfu']:.1%}"
    rate = per_second(found["positions_per_s"], 1)
    return (
        f"{rate} tokens, MFU {used} of {found['peak_from']}, {found['step_seconds'] * 1e3:.4g} ms "
        f"a step, waiting for data {found['data_wait']:.1%}, {found['memory'] / 2**30:.3g} GiB"
    )


def _hardware(place: Place) -> list[str]:
    name = {"cuda": "gpu"}.get(place.device, place.device)
    return [f"--trainer.accelerator={name}", "--trainer.devices=1"]


def _fit(place: Place, recipe: str, steps: int, name: str, *more: str) -> Path:
    """Trains a recipe in a folder of this name; returns it."""
    options = {
        "max_steps": steps,
        "val_check_interval": steps,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": "false",
        "enable_checkpointing": "true",
        "default_root_dir": name,
    }
    little = ["--data.batch_size=2", "--data.eval_batch_size=2", "--data.num_workers=0"]
    few = place.size([], [*little, "--trainer.limit_val_batches=1"])
    words = [f"--trainer.{key}={value}" for key, value in options.items()]
    words += ["--config", "logger/csv", *_hardware(place)]
    cli.main(["fit", "--config", recipe, *more, *few, *words])
    return Path(name)


def _last(folder: Path) -> Path:
    """Returns the last checkpoint of the only run in a folder."""
    found = sorted(folder.rglob("last.ckpt"))
    if len(found) != 1:
        raise Disagreement(f"{folder} holds {len(found)} checkpoints last.ckpt in place of one")
    return found[0].resolve()


def _nll(folder: Path) -> float:
    """Returns the last validation loss that a run logged.

    Raises:
        Disagreement: If there is none, or it is not finite.
    """
    (path,) = folder.rglob("metrics.csv")
    with path.open(encoding="utf-8") as file:
        found = [row["val/nll"] for row in csv.DictReader(file) if row.get("val/nll")]
    if not found or not math.isfinite(float(found[-1])):
        raise Disagreement(f"the validation losses of {folder} are {found}")
    return float(found[-1])


def _verbs(place: Place, checkpoint: Path) -> str:
    """Tests and predicts from a checkpoint."""
    for verb in ("test", "predict"):
        limit = f"--trainer.limit_{verb}_batches=1"
        cli.main([verb, "--ckpt_path", str(checkpoint), limit, *_hardware(place)])
    return "test and predict run"


def _apart(first: Mapping[str, Tensor], second: Mapping[str, Tensor], most: float) -> float:
    """Returns the largest relative distance of parameters that have one name."""
    if first.keys() != second.keys():
        raise Disagreement(f"parameters differ: {sorted(first.keys() ^ second.keys())}")
    away = {name: distance(first[name], second[name]) for name in first}
    worst = max(away, key=lambda name: away[name])
    if not away[worst] <= most:
        raise Disagreement(f"{worst} is {away[worst]:.2g} away, more than {most:.2g}")
    return away[worst]
