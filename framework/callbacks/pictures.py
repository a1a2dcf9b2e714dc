"""Pictures of a run: sent to TensorBoard while it lasts, saved as PNG files when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from framework.figures.style import pixels
from framework.run_files import FIGURES

DPI = 120  # dots per inch: readable on a screen, small on a disk


def show(trainer: Trainer, figures: Mapping[str, Figure]) -> None:
    """Sends figures to TensorBoard, by name; called on the first process."""
    for logger in boards(trainer):
        for name, figure in figures.items():
            logger.experiment.add_image(
                name, pixels(figure, DPI), trainer.global_step, dataformats="HWC"
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
        FigureCanvasAgg(figure).print_figure(path, dpi=DPI)
        print(f"Picture: {path}", flush=True)
