"""Writes `docs/scale.md`: plans of FANformer-1B and 7B, and what small recipes really hold.

python -m benchmarks.scale > docs/scale.md
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.profiler import ProfilerActivity, profile

import cli
from framework.planning.command import PlanCommand
from framework.planning.plan import in_bytes

SIZES = ("1b", "7b")
RANKS = (8, 64)
GPU, MFU = "A100", 0.4
TEXT = "--data.source StateOfTheUnion --data.tokenizer ByteTokenizer --data.multiple 50304"
DIVISIONS = ((1, 1), (2, 1), (1, 2), (2, 2), (1, 4))  # of layers, and of positions
SMALL = ("sotu", "quickstart", "cartpole")
COLUMNS = (
    "weights, gradients, optimizer, gathered",
    "activations, all kept",
    "activations, blocks recomputed",
    "sum, blocks recomputed",
)
STATES = ("weights", "gradients", "optimizer", "gathered")

HEAD = """# What large recipes take, on paper

`overtone plan --config RECIPE` builds a recipe without storage and starts nothing; data are
prepared as for training, and one batch is read for its shape. This page is written by
`python -m benchmarks.scale > docs/scale.md`, on a laptop.

Operations are 2·m·n·k for each product of matrices and those of attention over the whole square
of positions, the backward pass taken as twice the forward pass; recomputation is not counted.
Bytes are those when the backward pass begins, on the process that holds most, with the kernels of
a CPU. Kernels, libraries and the allocator need more. "Gathered" is an estimate of what FSDP2
holds whole beside its shards: the parts outside of blocks, two blocks, and the gradients of the
largest unit.
"""


def main() -> None:
    """Prints the page."""
    print(HEAD)
    print("## FANformer, bf16-mixed, FSDP2, 128 windows of 2,048 tokens in a micro-batch\n")
    print("The tokenizer and the text of these recipes are not here; others stand in, filled up")
    print("to the same vocabulary, and nothing of them is counted:\n")
    plans = {(size, ranks): _large(size, ranks) for size in SIZES for ranks in RANKS}
    print("```bash")
    for size, ranks in plans:
        print(f"overtone {' '.join(_words(size, ranks))}")
    print("```\n")
    _table(["", *(f"{size}, {ranks} GPUs" for size, ranks in plans)], _rows(list(plans.values())))
    print("\n## 7B where neighbors share a window, on 8 GPUs\n")
    print("Groups of neighbors read one window at a time. Options of `--trainer.strategy` divide")
    print("its layers (`tensor_parallel_size`), its positions (`context_parallel_size`) or both;")
    print(
        "what is outside of blocks each process computes whole. Where blocks are not recomputed,"
    )
    print("autocast keeps a copy of their weights in bfloat16 (13.6 GB), which positions share.\n")
    _table(["layers x positions", *COLUMNS], [_divided(*division) for division in DIVISIONS])
    print("\n## Small recipes, planned and measured\n")
    print("Most bytes that torch had allocated on a CPU at a time in two training steps (its")
    print("profiler; without what was there before), beside the sum of the plan.\n")
    rows = [_small(recipe) for recipe in SMALL]
    _table(["recipe", "planned", "measured", "measured / planned"], rows)
    print("\nBeyond the plan are workspaces and gradients of activations: of sotu, those of its")
    print("logits (34 MB).")


def _words(size: str, ranks: int) -> list[str]:
    overlays = "--config strategy/fsdp2 --config precision/bf16"
    nodes = f"--trainer.num_nodes {max(1, ranks // 8)} --trainer.devices 8"
    speed = f"--mfu {MFU} --peak {GPU}"
    return f"plan --config fanformer/{size} {overlays} {TEXT} {nodes} {speed}".split()


def _large(size: str, ranks: int) -> dict[str, Any]:
    return _planned(_words(size, ranks))


def _divided(tensors: int, contexts: int) -> list[str]:
    """Plans 7B where groups of processes read one window at a time."""
    strategy = {"tensor_parallel_size": tensors, "context_parallel_size": contexts}
    options = [f"--trainer.strategy.{name}={size}" for name, size in strategy.items()]
    windows = f"--data.batch_size={8 // tensors // contexts}"
    plan = _planned([*_words("7b", 8), *options, windows])
    memory = plan["memory_per_rank"]
    states = sum(memory[name] for name in STATES)
    kinds = ("activations", "activations_recomputing")
    return [
        f"{tensors} x {contexts}",
        in_bytes(states),
        *(in_bytes(memory[kind]) for kind in kinds),
        in_bytes(states + memory[kinds[1]]),
    ]


def _planned(words: list[str]) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "plan.json")
        words = [*words, "--output", str(path)]
        subprocess.run([sys.executable, cli.__file__, *words], check=True, capture_output=True)
        found: dict[str, Any] = json.loads(path.read_text())
    return found


def _rows(plans: list[dict[str, Any]]) -> list[list[str]]:
    memory = [plan["memory_per_rank"] for plan in plans]
    sums = [
        [sum(m[s] for s in STATES) + m[kind] for m in memory]
        for kind in ("activations", "activations_recomputing")
    ]
    return [
        ["parameters", *(f"{p['parameters']:,}" for p in plans)],
        ["operations per token", *(f"{p['flops_per_position'] / 1e9:.2f} GFLOP" for p in plans)],
        ["tokens per step", *(f"{p['positions_per_step']:,}" for p in plans)],
        ["operations of the run", *(f"{p['flops']:.3g} FLOP" for p in plans)],
        *([name, *(in_bytes(m[name]) for m in memory)] for name in STATES),
        ["activations, all kept", *(in_bytes(m["activations"]) for m in memory)],
        ["activations, blocks recomputed", *map(in_bytes, _kind(memory))],
        ["sum, all kept", *map(in_bytes, sums[0])],
        ["sum, blocks recomputed", *map(in_bytes, sums[1])],
        ["checkpoint", *(in_bytes(p["checkpoint_bytes"]) for p in plans)],
        [
            f"tokens per second at {MFU:.0%} of {GPU}",
            *(f"{p['positions_per_s']:,.0f}" for p in plans),
        ],
        ["days at that", *(f"{p['seconds'] / 86400:,.0f}" for p in plans)],
    ]


def _kind(memory: list[dict[str, int]]) -> list[int]:
    return [each["activations_recomputing"] for each in memory]


def _small(recipe: str) -> list[str]:
    """Plans a recipe, then takes two steps of it and looks at what was allocated."""
    words = [sys.executable, "-m", "benchmarks.scale", recipe]
    result = subprocess.run(words, check=True, capture_output=True, text=True)
    planned, measured = map(int, result.stdout.splitlines()[-1].split())
    return [recipe, in_bytes(planned), in_bytes(measured), f"{measured / planned:.2f}"]


def measure(recipe: str) -> None:
    """Prints the bytes that are planned for a recipe and those that are allocated."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "plan.json")
        command = PlanCommand(["--config", recipe, "--output", str(path)], "overtone")
        memory = json.loads(path.read_text())["memory_per_rank"]
        planned = sum(memory[name] for name in (*STATES, "activations"))
        torch.manual_seed(1)
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_steps=2,
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            limit_val_batches=0,
            default_root_dir=folder,
        )
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            trainer.fit(command.model, command.datamodule)
    print(planned, _peak(profiler))


def _peak(profiler: profile) -> int:
    assert profiler.profiler is not None
    events = profiler.profiler.kineto_results.events()
    changes = [event for event in events if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def _table(head: list[str], rows: list[list[str]]) -> None:
    print(f"| {' | '.join(head)} |")
    print(f"|---|{'--:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1])
    else:
        main()
