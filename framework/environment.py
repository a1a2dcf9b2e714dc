"""Facts of an environment: what a report of a bug needs, and what a run notes of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from framework.importing import GROUP
from framework.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    *("torch", "lightning", "torchmetrics", "jsonargparse", "omegaconf", "numpy", "pandas"),
    *("pyarrow", "tensorboard", "datasets", "tokenizers", "safetensors", "gymnasium"),
    *("transformers", "peft", "statsforecast", "wandb", "mlflow-skinny"),
)
VARIABLES = ("OVERTONE_", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "PYTHONUTF8")


def facts() -> Iterator[tuple[str, str]]:
    """Yields names and values: versions, machine, devices, plugins and variables of ours."""
    yield from _installed()
    for name, value in sorted(os.environ.items()):
        if name.startswith(VARIABLES):
            yield name, value


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Returns what does not change in a process; to find it takes a tenth of a second."""
    points = sorted(f"{one.name} ({one.value})" for one in metadata.entry_points(group=GROUP))
    return (
        ("overtone", f"{VERSION} {_commit()}".rstrip()),
        ("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("platform", platform.platform()),
        ("cores", str(os.cpu_count())),
        *_devices(),
        *((name, installed_version(name)) for name in PACKAGES),
        ("plugins", ", ".join(points) or "none"),
    )


def _devices() -> Iterator[tuple[str, str]]:
    """Yields what torch finds; a torch that cannot be imported is what a report is about."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield "devices", f"torch cannot be imported: {error}"
        return
    yield "CUDA of torch", str(torch.version.cuda)
    number = torch.cuda.device_count()
    names = [torch.cuda.get_device_name(index) for index in range(number)]
    mps = ["MPS"] if torch.backends.mps.is_available() else []
    yield "devices", ", ".join([*names, *mps]) or "CPU only"
    yield "threads", str(torch.get_num_threads())


def installed_version(name: str) -> str:
    """Returns the version of an installed package, "not installed" if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Returns the commit of a checkout, "" if this is none."""
    if not (ROOT / ".git").exists():
        return ""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return ""
    return f"at commit {done.stdout.strip()}" if done.returncode == 0 else ""


def report() -> str:
    """Returns the facts as aligned lines."""
    found = [*facts(), ("command", " ".join(sys.argv[:1]))]
    width = max(len(name) for name, _ in found)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found)
