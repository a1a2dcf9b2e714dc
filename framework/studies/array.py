"""A study as array jobs of a Slurm cluster: one task a run, round after round, then the tables."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from framework.console.errors import UserError
from framework.studies.runs import LAUNCH

SCRIPTS = "slurm"  # folder of scripts and outputs, in that of the results
JOBS = "jobs.txt"  # there: the numbers of the jobs, one a line
SCRIPT = """\
#!/usr/bin/env bash
# Written by `{name} --slurm`.
#SBATCH --job-name={job}
#SBATCH --ntasks=1
#SBATCH --output={output}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
{array}
set -euo pipefail
cd {directory}
export SRUN_CPUS_PER_TASK=${{SLURM_CPUS_PER_TASK:-1}}
export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-${{SLURM_CPUS_PER_TASK:-1}}}}
export PYTHONUNBUFFERED=1
exec srun --ntasks=1 {command}
"""


class StudyJobs(NamedTuple):
    """What the jobs of a study run.

    Args:
        words: The words behind `study` on the command line, without those that submit.
        folder: Folder of the results, on a file system that all nodes see.
        options: Options of `sbatch` for all jobs, such as `["--time=2:00:00"]`.
    """

    words: Sequence[str]
    folder: Path
    options: Sequence[str]

    def submit(self, rounds: Sequence[Sequence[int]]) -> list[str]:
        """Submits an array job for each round, one after the other, and a job for the tables.

        Args:
            rounds: Numbers of the runs, as of `Study.rounds`.

        Returns:
            The numbers of the jobs.

        Raises:
            UserError: If there is no Slurm, it refuses a job, or earlier jobs have not ended.
        """
        if shutil.which("sbatch") is None:
            raise UserError(
                "--slurm needs sbatch, which is not found here; run this on a login node of a "
                "Slurm cluster, or without --slurm."
            )
        self._require_ended()
        self._scripts.mkdir(parents=True, exist_ok=True)
        before: list[str] = []
        for number, tasks in enumerate(rounds, 1):
            array = f"#SBATCH --array={','.join(map(str, tasks))}\n"
            # Bash puts the number of the task in place.
            script = self._script(f"round-{number}", array, ' --task "$SLURM_ARRAY_TASK_ID"')
            before.append(self._sbatch(script, before[-1:]))
        before.append(self._sbatch(self._script("report", "", " --report"), before[-1:]))
        return before

    @property
    def _scripts(self) -> Path:
        return self.folder / SCRIPTS

    def _script(self, name: str, array: str, ending: str) -> Path:
        """Writes the script of a job."""
        command = shlex.join([sys.executable, "-c", LAUNCH, "study", *self.words])
        path = self._scripts / f"{name}.sbatch"
        text = SCRIPT.format(
            name=f"study {self.words[0]}",
            job=f"{Path(self.words[0]).stem}-{name}",
            output=self._scripts.resolve() / (f"{name}-%a.out" if array else f"{name}.out"),
            array=array,
            directory=shlex.quote(os.getcwd()),
            command=command + ending,
        )
        path.write_text(text, encoding="utf-8")
        return path

    def _sbatch(self, script: Path, before: Sequence[str]) -> str:
        after = [f"--dependency=afterany:{job}" for job in before]
        done = _call("sbatch", "--parsable", *after, *self.options, str(script))
        if done.returncode:
            reason = " ".join(done.stderr.split()).removeprefix("sbatch: error: ")
            raise UserError(f"sbatch refuses {script}: {reason}")
        job = done.stdout.strip().partition(";")[0]  # a cluster may follow
        with (self._scripts / JOBS).open("a", encoding="utf-8") as file:
            file.write(f"{job}\n")
        return job

    def _require_ended(self) -> None:
        note = self._scripts / JOBS
        known = set(note.read_text(encoding="utf-8").split()) if note.is_file() else set()
        queued = set(_call("squeue", "--me", "--noheader", "--format=%F").stdout.split())
        if waiting := sorted(known & queued):
            raise UserError(
                f"Jobs of this study have not ended: {', '.join(waiting)}; wait, or give "
                f"`scancel {' '.join(waiting)}`."
            )


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
