"""Pictures of predictions against what truly happened, one file per kind of data.

Every function takes tensors and returns a new `matplotlib.figure.Figure`, without global state or
a display.
"""

from framework.figures.actions import Actions, draw_actions
from framework.figures.densities import draw_densities
from framework.figures.forecasts import Fan, draw_fans, draw_forecasts
from framework.figures.functions import draw_function
from framework.figures.tokens import draw_next_tokens

__all__ = [
    "Actions",
    "Fan",
    "draw_actions",
    "draw_densities",
    "draw_fans",
    "draw_forecasts",
    "draw_function",
    "draw_next_tokens",
]
