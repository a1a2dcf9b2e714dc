"""Actions: the space that an environment or a recording gives them, and recorded ones encoded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.mapped import MappedArray
from framework.data.trajectories.spaces import MOST, ActionSpace, ChoiceSpace, VectorSpace


class EncodedActions:
    """Recorded actions that are read as outcomes of a support.

    Args:
        recorded: The actions as they were recorded, `[N, ...]`.
        space: The space they belong to.
    """

    def __init__(self, recorded: MappedArray, space: ActionSpace) -> None:
        self.recorded, self.space = recorded, space

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Reads a part, `[*index.shape, *support.shape]`."""
        read = self.recorded[index]
        step = self.recorded.array.shape[1:]
        lead = read.shape[: read.ndim - len(step)]
        encoded = self.space.encode(read.reshape(-1, *step))
        return encoded.reshape(*lead, *encoded.shape[1:])


def space_of(space: Any, environment: str) -> ActionSpace:
    """Reads the action space of an environment.

    Args:
        space: The space, of gymnasium.
        environment: Id of the environment, for errors.

    Raises:
        ValueError: If actions are neither choices nor vectors of numbers.
    """
    from gymnasium import spaces

    name = f"{space} of {environment}"
    match space:
        case spaces.Discrete(n=size, start=start):
            return ChoiceSpace(name, np.asarray(int(size)), np.asarray(int(start)))
        case spaces.MultiDiscrete(nvec=sizes, start=start):
            return ChoiceSpace(name, sizes.astype(np.int64), start.astype(np.int64))
        case spaces.MultiBinary(shape=shape):
            return ChoiceSpace(name, np.full(shape, 2), np.zeros(shape, np.int64))
        case spaces.Box(low=low, high=high, dtype=dtype):
            return VectorSpace(name, low, high, dtype)
    raise ValueError(
        f"The environment {environment!r} has the actions {space}, which are neither choices nor "
        "vectors of numbers; wrap it so that they are Discrete, MultiDiscrete, MultiBinary or Box."
    )


def recorded_space(actions: NDArray[Any], source: str) -> ActionSpace:
    """Finds the smallest space of recorded actions whose environment is not known.

    Args:
        actions: Actions `[N, ...]`: booleans are two choices, whole numbers choices from 0 on,
            floats vectors.
        source: What errors call their source.

    Raises:
        ValueError: If it cannot be told what they are.
    """
    match actions.dtype.kind, math.prod(actions.shape[1:]) == 1:
        case "b", True:
            size = 2
        case (("i" | "u"), True):
            size = _choices(actions, source)
        case "f", _:
            return _recorded_vectors(actions, source)
        case _:
            raise ValueError(
                f"{source}: actions are {actions.dtype} of shape {actions.shape[1:]}, which may "
                "be several choices at once or a vector; name the environment they are from, or "
                "record a vector as float32."
            )
    return ChoiceSpace(f"{size} choices", np.asarray(size), np.asarray(0))


def _choices(actions: NDArray[Any], source: str) -> int:
    least, most = int(actions.min()), int(actions.max())
    if least < 0 or most >= MOST:
        raise ValueError(
            f"{source}: actions are whole numbers from {least} to {most}, which are not choices "
            f"numbered from 0 on; name the environment they are from, or record quantities as "
            "float32."
        )
    return most + 1


def _recorded_vectors(actions: NDArray[Any], source: str) -> VectorSpace:
    low, high = actions.min(0), actions.max(0)
    if actions.min() >= 0 and (actions == np.rint(actions)).all():
        raise ValueError(
            f"{source}: actions are {actions.dtype}, but all of them are whole numbers from "
            f"{actions.min():g} to {actions.max():g}; record choices as int64, or name the "
            "environment they are from, whose space then says what they are."
        )
    return VectorSpace(f"the range of {source}", low, high, actions.dtype)
