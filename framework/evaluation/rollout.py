"""Plays episodes of an environment in lock-step, conditioned on a target return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from components.data import EpisodeBatch, TrajectoryBatch, TrajectorySpec
from components.interfaces import Embedded, Stem
from components.supports import Tokens
from framework.data.trajectories.actions import space_of
from framework.data.trajectories.making import make
from framework.data.trajectories.spaces import ActionSpace


class Policy(Protocol):
    """Chooses actions for the last time step of each window."""

    def __call__(self, window: TrajectoryBatch, uniform: Tensor) -> Tensor:
        """Acts.

        Args:
            window: Observations and actions so far, left-padded; the last action is not known yet.
            uniform: One draw from [0, 1) per component of the action, `[B, *support.shape]`; all
                the randomness a policy may use, so that an episode depends on its seed alone.

        Returns:
            Actions `[B, *support.shape]`.
        """


def alone(done: bool) -> bool:
    """Agrees with the only process."""
    return done


class Outcomes(NamedTuple):
    """What became known of episodes when they were over."""

    returns: Tensor  # [B] float32, sum of the rewards
    steps: Tensor  # [B] int64
    ends: list[str]  # B: "terminated", "truncated" by the environment, or at the "horizon"


@torch.no_grad()
def play(
    policy: Policy,
    spec: TrajectorySpec,
    episodes: EpisodeBatch,
    agree: Callable[[bool], bool] = alone,
    environment: Callable[[int], Any] | None = None,
) -> Outcomes:
    """Plays episodes to their end, or to `spec.horizon`.

    All run at once, so that the policy is called for a batch. Finished episodes leave the batch,
    except that one stays until all are over everywhere: with several processes `agree` must return
    whether all of them are done, so that each calls the policy equally often.

    Args:
        policy: Chooses actions; called once per time step for all running episodes.
        spec: The environment, the window and the longest episode.
        episodes: Seeds and target returns, `[B]` each.
        agree: Turns "the episodes of this process are over" into "those of all processes are
            over".
        environment: Makes the environment of each of the B episodes; that of the spec if not
            given.

    Raises:
        ValueError: If the environment cannot be made.
    """
    rows = list(range(len(episodes.seed)))  # the episodes that are in the window
    environments = [environment(k) if environment else make(spec.environment) for k in rows]
    draws = [np.random.default_rng(seed) for seed in episodes.seed.tolist()]
    try:
        space = space_of(environments[0].action_space, spec.environment)
        starts = zip(environments, episodes.seed.tolist(), strict=True)
        seen = [opened.reset(seed=seed)[0] for opened, seed in starts]
        window = _empty(spec, episodes, _tensor(seen).dtype)
        returns = torch.zeros_like(episodes.return_to_go, dtype=torch.float32)
        steps, ends = torch.zeros_like(episodes.seed), [""] * len(environments)
        for time in range(spec.horizon):
            remaining = (episodes.return_to_go - returns)[rows]
            window = _see(window, [seen[k] for k in rows], remaining, time)
            uniform = np.stack([draws[k].random(spec.support.shape) for k in rows])
            wanted = policy(window, torch.from_numpy(uniform).float().to(returns.device))
            actions = _limited(wanted, space, spec)
            window.action[:, -1] = actions
            for k, chosen in zip(rows, actions, strict=True):
                if not ends[k]:
                    action = space.decode(_numbered(chosen, spec))
                    seen[k], reward, ends[k] = _step(environments[k], action)
                    returns[k] += reward
                    steps[k] += 1
            if agree(all(ends)):
                break
            left = [row for row, k in enumerate(rows) if not ends[k]] or [0]
            if len(left) < len(rows):
                rows = [rows[row] for row in left]
                window = TrajectoryBatch(*(field[left] for field in window))
        return Outcomes(returns, steps, [end or "horizon" for end in ends])
    finally:
        for opened in environments:
            opened.close()


def _step(environment: Any, action: Any) -> tuple[Any, float, str]:
    """Acts, and returns the observation, the reward, and how the episode ended, "" if not yet."""
    seen, reward, terminated, truncated, _ = environment.step(action)
    return seen, float(reward), "terminated" if terminated else "truncated" if truncated else ""


def _empty(spec: TrajectorySpec, episodes: EpisodeBatch, seen: torch.dtype) -> TrajectoryBatch:
    """Makes windows that hold only padding."""
    shape, device = (len(episodes.seed), spec.length), episodes.seed.device
    kind = torch.int64 if isinstance(spec.support, Tokens) else torch.float32
    action = torch.zeros(*shape, *spec.support.shape, dtype=kind, device=device)
    return TrajectoryBatch(
        observation=torch.zeros(*shape, *spec.observation, dtype=seen, device=device),
        action=action,
        return_to_go=torch.zeros(shape, device=device),
        time=torch.zeros(shape, dtype=torch.int64, device=device),
        mask=torch.zeros(shape, dtype=torch.bool, device=device),
        target=action,
        weight=torch.zeros(shape, device=device),
    )


def _see(
    window: TrajectoryBatch, seen: list[Any], return_to_go: Tensor, time: int
) -> TrajectoryBatch:
    """Moves windows by one step: the new observation becomes the last time step."""
    moved = TrajectoryBatch(*(field.roll(-1, dims=1) for field in window))
    last = moved.observation[:, -1]
    last.copy_(_tensor(seen).reshape(last.shape))
    moved.action[:, -1] = 0
    moved.return_to_go[:, -1] = return_to_go
    moved.time[:, -1] = time
    moved.mask[:, -1] = True
    moved.weight[:, -1] = 1
    return moved._replace(target=moved.action)


def _tensor(seen: list[Any]) -> Tensor:
    """Stacks observations: bytes stay bytes as in windows of data, other numbers are float32."""
    values = np.stack(seen)
    return torch.from_numpy(values if values.dtype == np.uint8 else values.astype(np.float32))


def _limited(actions: Tensor, space: ActionSpace, spec: TrajectorySpec) -> Tensor:
    """Replaces actions by the nearest possible ones; later steps read these."""
    if isinstance(spec.support, Tokens):
        return actions
    limited = torch.from_numpy(space.limit(actions.float().cpu().numpy()))
    return limited.to(actions.device)


def _numbered(action: Tensor, spec: TrajectorySpec) -> Any:
    """Returns an action in the environment's own order of choices."""
    outcome = action.cpu().numpy()
    return np.asarray(spec.order[int(outcome)]) if spec.order else outcome


class MovingWindow:
    """Embeds a window that moves by one step at a time, only at its end.

    States of older steps are reused, which matters where an observation is an image: of a window
    of 30 steps two are embedded, the new one and the one before, whose action is now known.

    Args:
        stem: Embeds a window; if its `reach` is unknown, the whole window is embedded every time.
    """

    def __init__(self, stem: Stem) -> None:
        self.stem = stem
        self.kept: Embedded | None = None

    def __call__(self, window: TrajectoryBatch) -> Embedded:
        """Embeds a window `[B, T]`, which has moved on by one step since the last call.

        If episodes have left it, all of it is embedded again.
        """
        reach, (size, length) = self.stem.reach, window.mask.shape
        gone = self.kept is None or len(self.kept.states) != size
        if self.kept is None or gone or reach is None or length <= reach + 1:
            self.kept = self.stem(window)
            return self.kept
        end = self.stem(TrajectoryBatch(*(field[:, -reach - 1 :] for field in window)))
        step = self.kept.states.shape[1] // length  # states of one
        states = _moved(self.kept.states, end.states, step)
        mask = None
        if self.kept.mask is not None and end.mask is not None:
            mask = _moved(self.kept.mask, end.mask, step)
        self.kept = Embedded(states, mask)
        return self.kept


def _moved(kept: Tensor, end: Tensor, step: int) -> Tensor:
    """Drops the oldest step and those that are embedded again, `[B, S, ...]`."""
    return torch.cat([kept[:, step : kept.shape[1] + step - end.shape[1]], end], 1)
