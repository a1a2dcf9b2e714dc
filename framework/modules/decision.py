"""Decision models: actions are predicted from the past and the requested return."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Distribution

from components.data import EpisodeBatch, TrajectoryBatch, TrajectorySpec
from components.distributions.functionals import probabilities
from components.metrics.cells import nll_of_cells
from components.metrics.divergences import kl
from components.metrics.returns import RANDOM, named_scores
from components.metrics.smoothness import smoothness_of
from components.supports import Bins, Interval, Tokens
from framework.data.protocols import KnowsTruth, RequestsReturns
from framework.data.trajectories.targets import written
from framework.evaluation.acting import ACTS, Act, marginals
from framework.evaluation.rollout import Policy, play, require_reread
from framework.evaluation.windows import WindowReader
from framework.figures import Actions, draw_actions
from framework.modules.base import PredictiveModule, WeightedValues

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import ModuleOptions

EPISODES = 1  # number of the first loader that serves episodes to be played
CELLS = 48  # into which a figure divides the range of an action


class DecisionModel(PredictiveModule):
    """Trains a policy on episodes and plays it, as a decision transformer.

    The first loader serves windows of recorded episodes (`nll`; of choices the `accuracy` and the
    `smoothness` of their distributions, of quantities the `nll_cells`, which compares all heads at
    the resolution of 256 cells, the `absolute_error` and the share `at_bound` that was recorded on
    an end of the range; where the data know what the actions were drawn from, the prediction's
    divergence from it in nats, `kl`), each further one episodes to be played for one target
    return. Their mean `return` is reported, and `score_random_to_data`, in percent from a random
    policy to the mean of the data (`return_random`, `return_data`), if both are known. With
    several target returns, names end in `_at_20` and so on.

    Args:
        act: How an action is taken from its distribution: drawn (`sample`), the most likely
            (`mode`), or the average (`mean`, for quantities only).
        reread: After how many steps a full window is read again while episodes are played, from 1
            to its length. As many leave it at once, and it is then continued step by step, which
            is faster: with 5 of 20, the policy sees 16 to 20 steps. Windows of training begin
            anywhere, so that it has learned from all of these lengths.
        options: Options of every module, see `PredictiveModule`.

    Raises:
        ValueError: If `reread` is out of its range.

    Source: Chen et al., "Decision Transformer" (arXiv:2106.01345).
    """

    kind = TrajectorySpec
    spec: TrajectorySpec

    def __init__(
        self, *, act: Act = "sample", reread: int = 1, **options: Unpack[ModuleOptions]
    ) -> None:
        super().__init__(**options)
        self.act, self.reread = ACTS[act], reread
        require_reread(type(self).__name__, reread, self.spec.length)

    def evaluate(self, batch: Any, dataloader_idx: int) -> Mapping[str, WeightedValues]:
        """Scores windows of the first loader, and plays episodes of the others."""
        if dataloader_idx < EPISODES:
            return super().evaluate(batch, dataloader_idx)
        returns, targets = self.play(batch), self._target_returns()
        several = len(targets) > 1
        suffix = f"_at_{written(targets[dataloader_idx - EPISODES])}" if several else ""
        scores = {"return": returns, **named_scores(returns, self._references())}
        return {f"{name}{suffix}": (x, torch.ones_like(x)) for name, x in scores.items()}

    def metrics(self, prediction: Any, batch: TrajectoryBatch) -> Mapping[str, WeightedValues]:
        """Returns how predictions agree with what was done, and with what it was drawn from."""
        truth = self._truth(batch)
        known = {} if truth is None else {"kl": (kl(truth, prediction), batch.weight)}
        return {**self._agreement(prediction, batch), **known}

    def _agreement(self, prediction: Any, batch: TrajectoryBatch) -> dict[str, WeightedValues]:
        """Returns the accuracy of choices and the smoothness of their distributions, or errors."""
        match self.spec.support:
            case Tokens():
                hit, rough = prediction.mode == batch.target, smoothness_of(prediction)
                return {
                    "accuracy": (hit.float(), batch.weight),
                    "smoothness": (rough, batch.weight),
                }
            case Interval(interval=interval) | Bins(interval=interval):
                target = batch.target
                at_bound = (target <= interval.low) | (target >= interval.high)
                values = {"absolute_error": (prediction.mean - target).abs(), "at_bound": at_bound}
                nats = nll_of_cells(prediction, target, self.spec.support.divide())
                means = {
                    name: (value.float().unsqueeze(2).flatten(2).mean(-1), batch.weight)
                    for name, value in values.items()
                }
                return {"nll_cells": (nats, batch.weight), **means}

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Returns the target return if there is one, and the returns to compare with."""
        if not any(name.startswith("return") for name in means):
            return {}
        targets = self._target_returns()
        known = {f"return_{name}": value for name, value in self._references().items()}
        return {
            **({"target_return": targets[0]} if len(targets) == 1 else {}),
            **{name: value for name, value in known.items() if math.isfinite(value)},
        }

    def _truth(self, batch: TrajectoryBatch) -> Distribution | None:
        """Returns what the actions were drawn from, `[B, T]`, where the data know it."""
        return self.data.truth(batch) if isinstance(self.data, KnowsTruth) else None

    def _target_returns(self) -> Sequence[float]:
        """Returns what the loaders of episodes ask for, where the data say it."""
        return self.data.target_returns if isinstance(self.data, RequestsReturns) else ()

    def _references(self) -> Mapping[str, float]:
        return {RANDOM: self.spec.random_return, "data": self.spec.data_return}

    def predict_step(
        self, batch: EpisodeBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Plays episodes: one row each, with the requested and the achieved return."""
        columns = (batch.seed, batch.return_to_go, self.play(batch))
        return [
            {"seed": seed, "return_to_go": requested, "return": achieved}
            for seed, requested, achieved in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    def play(self, episodes: EpisodeBatch) -> Tensor:
        """Plays episodes in a run and returns the sum of rewards of each, `[B]`."""
        agree = self.trainer.strategy.reduce_boolean_decision
        return play(self.policy(), self.spec, episodes, agree, reread=self.reread).returns

    def policy(self) -> Policy:
        """Returns a policy for the episodes of one batch.

        It raises a ValueError where the model gives an action no probability, because it is NaN.
        """
        read = WindowReader(self.stem, self.backbone, self.spec.length)

        def policy(window: TrajectoryBatch, uniform: Tensor) -> Tensor:
            distribution = self.head(read(window))
            action = self.act(distribution, uniform, self.spec.support)
            if distribution.log_prob(action).isnan().any():  # else NaN would choose the first one
                raise ValueError(
                    f"DecisionModel has no action at step {int(window.time.max())}: what it "
                    "predicts is NaN; use a checkpoint from before its training diverged, and "
                    "observations that are numbers."
                )
            return action

        return policy

    def figures(self, batch: TrajectoryBatch) -> Mapping[str, Figure]:
        """Draws the distribution of the actions of a window, and of the whole batch."""
        values, probabilities = self._cells(self(batch))
        taken = batch.target.unsqueeze(2).flatten(2).float()
        known = batch.weight > 0
        longest = int(known.sum(1).argmax())
        steps = known[longest]
        window = Actions(probabilities[longest, steps].transpose(0, 1), taken[longest, steps].T)
        everything = Actions(probabilities[known].transpose(0, 1), taken[known].T)
        unit = _unit(self.spec)
        figure = draw_actions(batch.time[longest, steps], values, window, everything, unit)
        return {"actions": figure}

    def _cells(self, prediction: Any) -> tuple[Tensor, Tensor]:
        """Returns K values of an action, `[K]`, and their probabilities, `[B, T, A, K]`."""
        match self.spec.support:
            case Tokens(size=size):
                return torch.arange(size), prediction.probs.unsqueeze(2)
            case Interval(interval=interval) | Bins(interval=interval):
                edges = torch.linspace(interval.low, interval.high, CELLS + 1, device=self.device)
                masses = probabilities(marginals(prediction, interval), edges)
                return (edges[1:] + edges[:-1]) / 2, masses.unsqueeze(2).flatten(2, -2)


def _unit(spec: TrajectorySpec) -> str:
    match spec.support:
        case Tokens():
            return "place in the order" if spec.order else "number"
        case _:
            return "units of the environment"
