"""Scripts that each run with other sources of this project: forked, so that they start at once.

What a script imports of other packages is imported once, in a process of its own that has never
seen this project; each script is run in a copy of that process.
"""

import multiprocessing
from pathlib import Path
from typing import NamedTuple

OTHERS = ["lightning.pytorch", "torchmetrics", "jsonargparse", "importlinter.cli"]
BEGIN = """
import os, sys
os.chdir({folder!r})
os.environ.update({environment!r})
sys.path.insert(0, {sources!r})
for number, name in ((1, "output"), (2, "errors")):
    os.dup2(os.open(os.path.join({log!r}, name), os.O_WRONLY | os.O_CREAT), number)
"""


class Done(NamedTuple):
    """How a script ended."""

    returncode: int
    stdout: str
    stderr: str


def run_script(script: str, folder: Path, sources: Path, log: Path, **environment: str) -> Done:
    """Runs a script in a folder with the sources of another; what it says goes through files."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(OTHERS)
    known = {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", **environment}
    begin = BEGIN.format(folder=str(folder), sources=str(sources), log=str(log), environment=known)
    process = context.Process(target=exec, args=(begin + script, {"__name__": "script"}))
    process.start()
    process.join()
    output, errors = ((log / name).read_text(encoding="utf-8") for name in ("output", "errors"))
    assert process.exitcode is not None
    return Done(process.exitcode, output, errors)
