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
