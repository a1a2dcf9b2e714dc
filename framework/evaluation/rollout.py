"""Plays episodes of an environment in lock-step, conditioned on a target return."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.data import EpisodeBatch, TrajectoryBatch, TrajectorySpec
from components.supports import Tokens
from framework.data.trajectories.actions import space_of
from framework.data.trajectories.making import make
from framework.data.trajectories.spaces import ActionSpace


class Policy(Protocol):
    """Chooses actions for the last time step of each window."""

    def __call__(self, window: TrajectoryBatch, uniform: Tensor) -> Tensor:
        """Acts.

        Args:
            window: The last steps of all episodes, none padded; the last action is not known yet.
            uniform: One draw from [0, 1) per component of the action, `[B, *support.shape]`; all
                the randomness a policy may use, so that an episode depends on its seed alone.

        Returns:
            Actions `[B, *support.shape]`.
        """


def alone(done: bool) -> bool:
    """Agrees with the only process."""
    return done


def require_reread(owner: str, reread: int, length: int) -> None:
    """Checks how many steps leave a full window at once.

    Args:
        owner: Whose option it is, for the message.
        reread: That number.
        length: Time steps of a full window.

    Raises:
        ValueError: If a window has fewer, or it is none.
    """
    if not 1 <= reread <= length:
        raise ValueError(
            f"{owner}: reread={reread} is out of range; windows have {length} time steps, use a "
            f"number from 1, which reads every full window again, to {length}."
        )


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
    reread: int = 1,
) -> Outcomes:
    """Plays episodes to their end, or to `spec.horizon`.

    All run at once, so that the policy is called for a batch. The window grows by each step; where
    it is full, its first steps leave it, and so do finished episodes. One stays until all are over
    everywhere: with several processes `agree` must return whether all of them are done, so that
    each calls the policy equally often.

    Args:
        policy: Chooses actions; called once per time step for all running episodes.
        spec: The environment, the window and the longest episode.
        episodes: Seeds and target returns, `[B]` each.
        agree: Turns "the episodes of this process are over" into "those of all processes are
            over".
        environment: Makes the environment of each of the B episodes; that of the spec if not
            given.
        reread: How many steps leave a full window at once, from 1 to `spec.length`. Until it is
            full again it only grows, and a `WindowReader` reads its new positions alone.

    Raises:
        ValueError: If the environment cannot be made, or `reread` is out of range.
    """
    require_reread("play", reread, spec.length)
    rows = list(range(len(episodes.seed)))  # the episodes that are in the window
    draws = [np.random.default_rng(seed) for seed in episodes.seed.tolist()]
    with ExitStack() as opened:
        made = (environment(k) if environment else make(spec.environment) for k in rows)
        environments = [opened.enter_context(closing(each)) for each in made]
        space = space_of(environments[0].action_space, spec.environment)
        starts = zip(environments, episodes.seed.tolist(), strict=True)
        seen = [each.reset(seed=seed)[0] for each, seed in starts]
        window, filled = _empty(spec, episodes, _tensor(seen).dtype), 0
        device, asked = episodes.seed.device, episodes.return_to_go.float().cpu().numpy()
        returns, steps = np.zeros_like(asked), np.zeros(len(rows), np.int64)
        ends = [""] * len(rows)
        for time in range(spec.horizon):
            if filled == spec.length:
                left = [row for row, k in enumerate(rows) if not ends[k]] or [0]
                rows = [rows[row] for row in left]
                window, filled = _moved(window, left, reread), filled - reread
            remaining = torch.from_numpy((asked - returns)[rows])
            _see(window, filled, [seen[k] for k in rows], remaining, time)
            filled += 1
            known = TrajectoryBatch(*(field[:, :filled] for field in window))
            uniform = np.stack([draws[k].random(spec.support.shape) for k in rows])
            wanted = policy(known, torch.from_numpy(uniform).float().to(device))
            actions = _limited(wanted, space, spec)
            known.action[:, -1] = torch.from_numpy(actions).to(device)
            for k, chosen in zip(rows, actions, strict=True):
                if not ends[k]:
                    action = space.decode(_numbered(chosen, spec))
                    seen[k], reward, ends[k] = _step(environments[k], action)
                    returns[k] += reward
                    steps[k] += 1
            if agree(all(ends)):
                break
        reached, taken = (torch.from_numpy(count).to(device) for count in (returns, steps))
        return Outcomes(reached, taken, [end or "horizon" for end in ends])


def _step(environment: Any, action: Any) -> tuple[Any, float, str]:
    """Acts, and returns the observation, the reward, and how the episode ended, "" if not yet."""
    seen, reward, terminated, truncated, _ = environment.step(action)
    return seen, float(reward), "terminated" if terminated else "truncated" if truncated else ""


def _empty(spec: TrajectorySpec, episodes: EpisodeBatch, seen: torch.dtype) -> TrajectoryBatch:
    """Makes full windows of zeros, in which steps are written."""
    shape, device = (len(episodes.seed), spec.length), episodes.seed.device
    kind = torch.int64 if isinstance(spec.support, Tokens) else torch.float32
    action = torch.zeros(*shape, *spec.support.shape, dtype=kind, device=device)
    return TrajectoryBatch(
        observation=torch.zeros(*shape, *spec.observation, dtype=seen, device=device),
        action=action,
        return_to_go=torch.zeros(shape, device=device),
        time=torch.zeros(shape, dtype=torch.int64, device=device),
        mask=torch.ones(shape, dtype=torch.bool, device=device),
        target=action,
        weight=torch.ones(shape, device=device),
    )


def _moved(window: TrajectoryBatch, left: list[int], lost: int) -> TrajectoryBatch:
    """Keeps some rows of windows, and moves them over their first `lost` steps."""
    kept = window.mask.shape[0] == len(left)
    rows = window if kept else TrajectoryBatch(*(field[left] for field in window))
    moved = TrajectoryBatch(*(field.roll(-lost, dims=1) for field in rows))
    return moved._replace(target=moved.action)


def _see(
    window: TrajectoryBatch, step: int, seen: list[Any], return_to_go: Tensor, time: int
) -> None:
    """Writes what is known before the action of a step of windows."""
    here = window.observation[:, step]
    here.copy_(_tensor(seen).reshape(here.shape))
    window.action[:, step] = 0
    window.return_to_go[:, step] = return_to_go.to(here.device)
    window.time[:, step] = time


def _tensor(seen: list[Any]) -> Tensor:
    """Stacks observations: bytes stay bytes as in windows of data, other numbers are float32."""
    values = np.stack(seen)
    return torch.from_numpy(values if values.dtype == np.uint8 else values.astype(np.float32))


def _limited(actions: Tensor, space: ActionSpace, spec: TrajectorySpec) -> NDArray[Any]:
    """Replaces actions by the nearest possible ones; later steps read these."""
    if isinstance(spec.support, Tokens):
        return actions.cpu().numpy()
    return space.limit(actions.float().cpu().numpy())


def _numbered(action: NDArray[Any], spec: TrajectorySpec) -> Any:
    """Returns an action in the environment's own order of choices."""
    return np.asarray(spec.order[int(action)] if spec.order else action)
