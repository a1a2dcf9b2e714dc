"""Runs everything that needs a GPU, a line per check, in at most eight minutes.

    python -m benchmarks.cuda                  all checks
    python -m benchmarks.cuda fan readout      some of them

Each check runs in a process of its own. The status is 1 if one failed, whose output then goes to
stderr, and 0 where there is no GPU, as is said then. Numbers of checks are distances relative to
the norm of the exact value, and ratios of medians of times.
"""

from __future__ import annotations

import sys

import torch

from benchmarks.cuda import layers, likelihood, runs, steps
from benchmarks.cuda.checks import Place, run_each

LIMIT = 470.0  # seconds, for all checks
CHECKS = {
    "myopic_kernels": layers.myopic_kernels,
    "myopic_timing": layers.myopic_timing,
    "fourier": layers.fourier,
    "fan": layers.fan,
    "readout": likelihood.readout,
    "fused_adamw": steps.fused_adamw,
    "decoding_graph": steps.decoding_graph,
    "sampling": steps.sampling,
    "quickstart": runs.quickstart,
    "language": runs.language,
    "precisions": runs.precisions,
    "sharded": runs.sharded,
    "speed_300m": runs.speed,
    "compiled": layers.compiled,
    "speed_300m_compiled": runs.speed_compiled,
}


def main(names: list[str]) -> int:
    """Runs the checks of these names, all of them if there are none; returns the status.

    Raises:
        ValueError: If there is no check of a name.
    """
    if unknown := set(names) - set(CHECKS):
        raise ValueError(f"no check is called {sorted(unknown)}; choose of {sorted(CHECKS)}.")
    if not torch.cuda.is_available():
        print(f"no CUDA here (torch {torch.__version__})")
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    failed = 0
    chosen = {name: CHECKS[name] for name in names or CHECKS}
    for outcome in run_each(chosen, Place("cuda"), LIMIT):
        print(outcome, flush=True)
        failed += not outcome.passed
        if not outcome.passed:
            print(outcome.log, file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
