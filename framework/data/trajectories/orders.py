"""Orders of actions: the position of each choice in the grid of an ordered head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.supports import Interval, Tokens
from framework.data.trajectories.actions import EncodedActions


class ActionOrder:
    """An order of choices, for heads whose distributions are smooth over neighboring outcomes.

    It is part of the data: windows hold positions in the order, for past actions and for those to
    predict; only the environment is given its own numbers.

    Args:
        actions: Numbers of the choices in the environment, counted from 0, in the order of the
            head; each occurs once.

    Raises:
        ValueError: If a number is missing or occurs twice.

    Example:
        >>> ActionOrder([2, 0, 1]).places(np.array([2, 2, 1]))
        array([0, 0, 2])
    """

    def __init__(self, actions: Sequence[int]) -> None:
        self.actions = tuple(actions)
        if sorted(self.actions) != list(range(len(self.actions))) or not self.actions:
            raise ValueError(
                f"{type(self).__name__}: actions={list(actions)} is not an order of "
                f"{len(self.actions)} choices; name each number from 0 on once."
            )

    def require(self, support: Tokens | Interval) -> None:
        """Checks that it orders all possible actions.

        Raises:
            ValueError: If actions are not discrete, or differ in number.
        """
        if support != Tokens(len(self.actions)):
            raise ValueError(
                f"{type(self).__name__} orders {len(self.actions)} choices, the actions of these "
                f"episodes are {support}; drop the order or name one of theirs."
            )

    def places(self, actions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the positions of actions in the order, both `[...]`."""
        return np.argsort(self.actions)[actions]


class AtariOrder(ActionOrder):
    """The 18 actions of the Atari joystick by direction, once around without and once with fire.

    First comes doing nothing, then left, up-left, up, up-right, right, down-right, down and
    down-left, then the same eight with the button, then the button alone, which is next to doing
    nothing where the ends are neighbors.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), the Atari experiment of their code.
    """

    def __init__(self) -> None:
        super().__init__((0, 4, 7, 2, 6, 3, 8, 5, 9, 12, 15, 10, 14, 11, 16, 13, 17, 1))


class OrderedActions:
    """Recorded actions that are read as their positions in an order.

    Args:
        actions: The recorded actions.
        order: The order.
    """

    def __init__(self, actions: EncodedActions, order: ActionOrder) -> None:
        self.actions, self.order = actions, order

    def __getitem__(self, index: Any) -> NDArray[np.int64]:
        """Reads a part."""
        return self.order.places(self.actions[index])
