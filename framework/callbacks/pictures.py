"""Pictures of a run: shown in TensorBoard while it lasts, written as files when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 120  # dots per inch: readable on a screen, small on a disk
FOLDER = "figures"  # in the log directory


def show(trainer: Trainer, figures: Mapping[str, Figure]) -> None:
    """Sends figures to TensorBoard, by name; the first process calls this."""
    for logger in boards(trainer):
        for name, figure in figures.items():
            logger.experiment.add_image(
                name, pixels(figure), trainer.global_step, dataformats="HWC"
            )


def boards(trainer: Trainer) -> list[TensorBoardLogger]:
    """Lists the loggers that take pictures; others have no common way to."""
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def save(directory: str | None, figures: Mapping[str, Figure]) -> None:
    """Writes figures as PNG files, and prints their paths; the first process calls this.

    Args:
        directory: The log directory.
        figures: What to write, by name.
    """
    for name, figure in figures.items():
        path = Path(directory or ".").resolve() / FOLDER / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        FigureCanvasAgg(figure).print_figure(path, dpi=DPI)
        print(f"Picture: {path}", flush=True)


def pixels(figure: Figure) -> np.ndarray:
    """Renders a figure without any global state, `[height, width, 3]` bytes."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
