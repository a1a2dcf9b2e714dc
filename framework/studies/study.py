"""A study fills a folder with results, and can be resumed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar


class Study(ABC):
    """Many runs that answer one question.

    `overtone study NAME` reads `recipes/studies/NAME.yaml`, whose key `study` names a subclass and
    its options. Unless `extensible`, a folder is refused to other options than its first ones.
    """

    extensible: ClassVar[bool] = False  # whether finished runs are identified by all their options

    @abstractmethod
    def run(self, folder: Path, jobs: int) -> None:
        """Runs what is not finished yet, writes all results into a folder and prints the table.

        Args:
            folder: Where results and pictures are kept; finished runs in it are not repeated.
            jobs: Processes to run side by side, at least 1.
        """

    def rounds(self, folder: Path) -> list[list[int]]:
        """Numbers what is not finished yet and can run on different machines.

        Args:
            folder: Where results are kept.

        Returns:
            Numbers for `run_one`; those of a round need results of the rounds before it.

        Raises:
            ValueError: If the study cannot be divided.
        """
        raise ValueError(f"{type(self).__name__} runs as a whole; drop --slurm, --task, --report.")

    def run_one(self, folder: Path, number: int) -> None:
        """Runs what has a number of `rounds`, unless it is finished.

        Raises:
            ValueError: If it needs results that are missing, or fails.
        """
        self.rounds(folder)

    def report(self, folder: Path) -> None:
        """Writes tables and pictures of what is finished, and prints the tables."""
        self.rounds(folder)
