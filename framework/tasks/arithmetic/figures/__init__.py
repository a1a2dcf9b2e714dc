"""Pictures of answers to equations."""

from framework.tasks.arithmetic.figures.cells import draw_cells
from framework.tasks.arithmetic.figures.equations import draw_equations

__all__ = ["draw_cells", "draw_equations"]
