"""What a study is: something that fills a folder with results, and can be called again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar


class Study(ABC):
    """Many runs that answer one question.

    `overtone study NAME` reads `recipes/studies/NAME.yaml`, whose key `study` names a subclass and
    its options. Unless `extensible`, a folder belongs to the options that it was begun with.
    """

    extensible: ClassVar[bool] = False  # whether each finished run is known by all its options

    @abstractmethod
    def run(self, folder: Path, jobs: int) -> None:
        """Runs what is not finished yet, writes all results into a folder and prints the table.

        Args:
            folder: Where results and pictures are kept; runs that are finished there are not run
                again.
            jobs: Processes to run side by side, at least 1.
        """
