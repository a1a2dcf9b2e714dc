"""Report: results of an analysis as a table, as numbers for programs, and as a picture."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.image import imsave
from torch.utils.tensorboard import SummaryWriter

from framework.figures.style import pixels

DPI = 150  # dots per inch of a picture

Numbers = Sequence[Sequence[str | float]]


class Report(NamedTuple):
    """Results of an analysis."""

    name: str
    table: list[list[str]]  # to be read; the first row is the head
    numbers: Numbers  # all of it; the first row is the head
    metrics: dict[str, float]  # by names such as those that a run logs
    figure: Figure

    def write(self, folder: Path) -> list[Path]:
        """Writes numbers, metrics and picture into a folder, and returns the files.

        Files of an earlier analysis are replaced, which a line on stderr says. TensorBoard shows
        metrics and picture, too, of whatever folder this one is in.
        """
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{self.name}{suffix}" for suffix in (".csv", ".json", ".png")]
        if replaced := [str(path) for path in paths if path.exists()]:
            print(f"Replaced, from an earlier analysis: {', '.join(replaced)}", file=sys.stderr)
        with paths[0].open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([_written(cell) for cell in row] for row in self.numbers)
        paths[1].write_text(json.dumps(self.metrics, indent=1), encoding="utf-8")
        picture = pixels(self.figure, DPI)  # once: to lay a figure out takes longer than to draw
        imsave(paths[2], picture, dpi=DPI)
        with SummaryWriter(str(folder)) as events:
            for name, value in self.metrics.items():
                events.add_scalar(name, value)
            events.add_image(self.name, picture, dataformats="HWC")
        return paths


def _written(cell: str | float) -> str:
    return cell if isinstance(cell, str) else f"{cell:.7g}"
