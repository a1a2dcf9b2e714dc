"""Action spaces: what an environment takes as an action, as outcomes of a support."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.supports import Bins, Interval, Tokens

MOST = 65_536  # combinations of choices that are predicted as one choice
DEGENERATE = 1e-6  # of the range of an action, by which rounding may exceed it

Integers = NDArray[np.int64]
Support = Tokens | Interval | Bins


class ActionSpace(ABC):
    """Converts between recorded actions, outcomes of a support, and what an environment takes.

    Args:
        name: What errors call the space.
        shape: Shape of an action.
    """

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape = name, shape

    @abstractmethod
    def support(self, recorded: NDArray[Any] | None = None) -> Tokens | Interval:
        """Returns what can be predicted.

        Args:
            recorded: Actions `[N, ...]`, whose range bounds a space that has no bounds itself.
        """

    @abstractmethod
    def encode(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Converts possible actions `[N, ...]` to outcomes, `[N, *support.shape]`."""

    @abstractmethod
    def decode(self, outcome: NDArray[Any]) -> Any:
        """Converts one outcome to the action that an environment takes."""

    @abstractmethod
    def limit(self, outcomes: NDArray[Any]) -> NDArray[Any]:
        """Replaces outcomes `[B, *support.shape]` by the nearest possible ones."""

    @abstractmethod
    def fits(self, actions: NDArray[Any]) -> bool:
        """Returns whether actions `[N, ...]` have a type and a shape that belong to the space."""

    @abstractmethod
    def possible(self, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Returns which actions `[N, ...]` that fit lie within the space, `[N]`."""

    @abstractmethod
    def allows(self, support: Support, all_of_it: bool) -> bool:
        """Returns whether a policy of a support can act here.

        Args:
            support: What the policy chooses from.
            all_of_it: Whether it must be able to take every action of the space.
        """

    def require(self, actions: NDArray[Any], first: Integers, source: str) -> None:
        """Checks recorded actions.

        Args:
            actions: Actions of all episodes, `[N, ...]`.
            first: Where each episode begins, `[episodes]`.
            source: What the error calls their source.

        Raises:
            ValueError: If they are of another type or shape, or one of them is impossible.
        """
        if not self.fits(actions):
            raise ValueError(
                f"{source}: actions are {actions.dtype} of shape {actions.shape[1:]}, which do "
                f"not fit {self.name}; name the environment they are from, or record actions as "
                "it took them."
            )
        possible = self.possible(actions)
        if not possible.all():
            row = int(possible.argmin())
            episode = int(np.searchsorted(first, row, side="right")) - 1
            action = np.array2string(np.squeeze(actions[row]), precision=6)
            raise ValueError(
                f"{source}: action {action} at step {row - first[episode]} of episode {episode} "
                f"lies outside {self.name}; record actions as the environment took them."
            )

    def _same_shape(self, actions: NDArray[Any]) -> bool:
        """Returns whether actions `[N, ...]` have the shape but for axes of one entry."""
        return [n for n in actions.shape[1:] if n > 1] == [n for n in self.shape if n > 1]


class ChoiceSpace(ActionSpace):
    """One choice, or several at once that are numbered as one, the last varying fastest.

    Args:
        name: What errors call the space.
        sizes: Number of options of each choice, `[*shape]`.
        start: Smallest number of each choice, `[*shape]`.

    Raises:
        ValueError: If there are too many combinations.
    """

    def __init__(self, name: str, sizes: Integers, start: Integers) -> None:
        super().__init__(name, sizes.shape)
        self.sizes, self.start = sizes, start
        self.count = math.prod(sizes.ravel().tolist())
        if not 1 <= self.count <= MOST:
            raise ValueError(
                f"{name} has {self.count} combinations of choices, which are predicted as one; "
                f"use an environment with at most {MOST}."
            )

    def support(self, recorded: NDArray[Any] | None = None) -> Tokens:
        """Returns the combinations."""
        return Tokens(self.count)

    def encode(self, actions: NDArray[Any]) -> Integers:
        """Numbers combinations from 0 on, `[N]`."""
        picked = actions.astype(np.int64).reshape(len(actions), -1) - self.start.ravel()
        return np.asarray(np.ravel_multi_index(tuple(picked.T), tuple(self.sizes.ravel())))

    def decode(self, outcome: NDArray[Any]) -> Any:
        """Returns a number, or an array of the numbers of all choices."""
        picked = np.unravel_index(int(outcome), tuple(self.sizes.ravel()))
        action = np.reshape(picked, self.shape) + self.start
        return action if self.shape else int(action)

    def limit(self, outcomes: NDArray[Any]) -> NDArray[Any]:
        """Returns outcomes as they are, as all of them are possible."""
        return outcomes

    def fits(self, actions: NDArray[Any]) -> bool:
        """Returns whether actions are whole numbers, of any type."""
        if not self._same_shape(actions):
            return False
        return actions.dtype.kind in "biu" or bool((actions == np.rint(actions)).all())

    def possible(self, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Returns which actions have a number for every choice."""
        picked = actions.astype(np.int64).reshape(len(actions), -1) - self.start.ravel()
        return np.asarray(((picked >= 0) & (picked < self.sizes.ravel())).all(1))

    def allows(self, support: Support, all_of_it: bool) -> bool:
        """Returns whether a policy chooses from as many combinations."""
        return support == self.support()


class VectorSpace(ActionSpace):
    """Numbers between bounds, each of which may be infinite.

    Args:
        name: What errors call the space.
        low: Smallest value of each component, `[*shape]`.
        high: Largest value of each component, `[*shape]`.
        dtype: Type of the numbers; where it is one of whole numbers, they are rounded.
    """

    def __init__(
        self, name: str, low: NDArray[Any], high: NDArray[Any], dtype: np.dtype[Any]
    ) -> None:
        super().__init__(name, low.shape)
        self.low, self.high, self.dtype = low.astype(np.float64), high.astype(np.float64), dtype
        self.whole = dtype.kind in "iu"

    def support(self, recorded: NDArray[Any] | None = None) -> Interval:
        """Returns the interval of all components; where there is no bound, that of the records.

        Raises:
            ValueError: If there is no bound and nothing recorded, or nothing to choose.
        """
        ends = self._ends(recorded)
        if ends is None:
            raise ValueError(f"{self.name} has no bounds; record actions to find a range.")
        low, high = float(ends[0].min()), float(ends[1].max())
        if not low < high:
            raise ValueError(
                f"The actions of {self.name} are all {low:g}, which leaves nothing to predict; "
                "choose other episodes or another environment."
            )
        return Interval(low, high, self.shape)

    def encode(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Returns actions in single precision, `[N, *shape]`."""
        return actions.astype(np.float32, copy=False).reshape(len(actions), *self.shape)

    def decode(self, outcome: NDArray[Any]) -> Any:
        """Returns an array of the type of the environment."""
        return np.asarray(self.limit(outcome[None])[0].reshape(self.shape), self.dtype)

    def limit(self, outcomes: NDArray[Any]) -> NDArray[Any]:
        """Clips values to their bounds, and rounds them where whole numbers are wanted."""
        clipped = np.clip(outcomes, self.low, self.high)
        return np.asarray(np.rint(clipped) if self.whole else clipped, np.float32)

    def fits(self, actions: NDArray[Any]) -> bool:
        """Returns whether actions are numbers, which may be whole where the space's are."""
        return self._same_shape(actions) and actions.dtype.kind in ("fiu" if self.whole else "f")

    def possible(self, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Returns which actions lie within the bounds, but for rounding."""
        values = actions.reshape(len(actions), *self.shape)
        span = np.where(self._bounded, self.high - self.low, 1.0)
        inside = (values >= self.low - DEGENERATE * span) & (
            values <= self.high + DEGENERATE * span
        )
        return np.asarray(inside.reshape(len(actions), -1).all(1))

    def allows(self, support: Support, all_of_it: bool) -> bool:
        """Returns whether the interval of a policy lies within the bounds, or equals them."""
        if isinstance(support, Tokens) or support.shape != self.shape:
            return False
        low, high = support.interval.low, support.interval.high
        slack = DEGENERATE * (high - low)
        least = float(np.where(np.isfinite(self.low), self.low, low).min())
        most = float(np.where(np.isfinite(self.high), self.high, high).max())
        if all_of_it:
            return abs(least - low) <= slack and abs(most - high) <= slack
        return least - slack <= low and high <= most + slack

    @property
    def _bounded(self) -> NDArray[np.bool_]:
        return np.isfinite(self.low) & np.isfinite(self.high)

    def _ends(self, recorded: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Returns finite bounds of all components."""
        if self._bounded.all():
            return self.low, self.high
        if recorded is None:
            return None
        values = self.encode(recorded)
        low = np.where(np.isfinite(self.low), self.low, values.min(0))
        return low, np.where(np.isfinite(self.high), self.high, values.max(0))
