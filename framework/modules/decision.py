"""Decision models: actions are predicted from the past and the requested return."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from components.data import EpisodeBatch, TrajectoryBatch, TrajectorySpec
from components.metrics.returns import normalized_score
from components.metrics.smoothness import smoothness_of
from components.supports import Bins, Interval, Tokens
from framework.evaluation.acting import ACTS, Act, marginals
from framework.evaluation.rollout import MovingWindow, play
from framework.figures import Actions, draw_actions
from framework.modules.base import PredictiveModule, WeightedValues

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import ModuleOptions

EPISODES = 1  # number of the loader that serves episodes to be played
CELLS = 48  # into which a figure divides the range of an action


class DecisionModel(PredictiveModule):
    """Trains a policy on episodes and plays it, as a decision transformer.

    The first loader serves windows of recorded episodes (`nll`; of choices the `accuracy` and the
    `smoothness` of their distributions, of quantities the `absolute_error` and the share
    `at_bound` that was recorded on an end of the range), the second one episodes to be played,
    whose mean `return` is reported, and `normalized_return`, in percent between a random policy
    and the data (`return_random`, `return_data`), if both are known.

    Args:
        act: How an action is taken from its distribution: drawn (`sample`), the most likely
            (`mode`), or the average (`mean`, for quantities only).
        options: Options of every module, see `PredictiveModule`.

    Source: Chen et al., "Decision Transformer" (arXiv:2106.01345).
    """

    kind = TrajectorySpec
    spec: TrajectorySpec

    def __init__(self, *, act: Act = "sample", **options: Unpack[ModuleOptions]) -> None:
        super().__init__(**options)
        self.act = ACTS[act]

    def evaluate(self, batch: Any, dataloader_idx: int) -> Mapping[str, WeightedValues]:
        """Scores windows of the first loader, and plays episodes of the second."""
        if dataloader_idx != EPISODES:
            return super().evaluate(batch, dataloader_idx)
        returns = self.play(batch)
        scores = {"return": (returns, torch.ones_like(returns))}
        random, data = self.spec.random_return, self.spec.data_return
        if math.isfinite(random) and math.isfinite(data) and random != data:
            score = normalized_score(returns, random, data)
            scores["normalized_return"] = (score, torch.ones_like(score))
        return scores

    def metrics(self, prediction: Any, batch: TrajectoryBatch) -> Mapping[str, WeightedValues]:
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
                return {
                    name: (value.float().unsqueeze(2).flatten(2).mean(-1), batch.weight)
                    for name, value in values.items()
                }

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Returns the returns of a random policy and of the data, for comparison."""
        known = {"return_random": self.spec.random_return, "return_data": self.spec.data_return}
        if "return" not in means:
            return {}
        return {name: value for name, value in known.items() if math.isfinite(value)}

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
        """Plays episodes and returns the sum of rewards of each, `[B]`."""
        embed = MovingWindow(self.stem)

        def policy(window: TrajectoryBatch, uniform: Tensor) -> Tensor:
            hidden = self.stem.readout(self.backbone(embed(window)))
            return self.act(self.head(hidden[:, -1]), uniform, self.spec.support)

        agree = self.trainer.strategy.reduce_boolean_decision
        return play(policy, self.spec, episodes, agree).returns

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
                distribution = marginals(prediction, interval)
                below = distribution.cdf(edges.view(-1, *[1] * len(distribution.batch_shape)))
                masses = below.diff(dim=0).movedim(0, -1)
                return (edges[1:] + edges[:-1]) / 2, masses.unsqueeze(2).flatten(2, -2)


def _unit(spec: TrajectorySpec) -> str:
    match spec.support:
        case Tokens():
            return "place in the order" if spec.order else "number"
        case _:
            return "units of the environment"
