"""Pictures of a run: sent to TensorBoard while it lasts, saved as PNG files when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from framework.figures.style import pixels
from framework.run_files import FIGURES

DPI = 120  # dots per inch: readable on a screen, small on a disk
RENDERED: WeakKeyDictionary[Figure, NDArray[np.uint8]] = WeakKeyDictionary()


def show(trainer: Trainer, figures: Mapping[str, Figure]) -> None:
    """Sends figures to TensorBoard, by name; called on the first process."""
    for logger in boards(trainer):
        for name, figure in figures.items():
            logger.experiment.add_image(
                name, _rendered(figure), trainer.global_step, dataformats="HWC"
            )


def boards(trainer: Trainer) -> list[TensorBoardLogger]:
    """Returns the TensorBoard loggers; other loggers have no common way to take pictures."""
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def save(directory: str | None, figures: Mapping[str, Figure]) -> None:
    """Saves figures as PNG files and prints their paths; called on the first process.

    Args:
        directory: The log directory.
        figures: Figures by name.
    """
    for name, figure in figures.items():
        path = Path(directory or ".").resolve() / FIGURES / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        imsave(path, _rendered(figure), dpi=DPI)
        print(f"Picture: {path}", flush=True)


def _rendered(figure: Figure) -> NDArray[np.uint8]:
    """Renders a figure once: one that is saved was mostly shown before, and does not change."""
    if figure not in RENDERED:
        RENDERED[figure] = pixels(figure, DPI)
    return RENDERED[figure]
