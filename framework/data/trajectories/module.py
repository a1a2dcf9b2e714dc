"""Recorded episodes, as windows for models that predict each action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.distributions import Distribution
from torch.utils.data import DataLoader

from components.data import KnownTrajectoryBatch, TrajectorySpec
from components.supports import Bins, Interval, Tokens
from framework.checkpoints import trained_spec
from framework.data.baselines import NONE, Baselines
from framework.data.module import Dataset, PredictiveData
from framework.data.trajectories.archives import Archive
from framework.data.trajectories.episodes import EpisodeSource
from framework.data.trajectories.orders import ActionOrder, OrderedActions
from framework.data.trajectories.targets import target_list
from framework.data.trajectories.truth import kl_of_constant, steps_of, true_distribution
from framework.data.trajectories.windows import (
    CoveringWindows,
    EpisodeSeeds,
    KnownWindows,
    TrainingWindows,
)

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions

FIRST_SEED = {"val": 1_000_000, "test": 2_000_000, "predict": 3_000_000}  # of episodes to play
LEARNT = ("support", "mean", "std", "return_scale", "longest")  # which parameters depend on
TARGET_QUANTILE = 0.9  # of the returns of the training episodes: the default target
DIVERGENCE = "kl"  # the metric for which what actions were drawn from must be known


class TrajectoryData(PredictiveData):
    """Serves windows of recorded episodes, and episodes to be played.

    Whole episodes are held out, equally many for validation and for the test. A training window
    ends at any step of the others. In evaluation every step of the held-out episodes is predicted
    once; if there is an environment, a further loader for each target return serves seeds of
    episodes to play. Prediction plays episodes.

    Args:
        source: Where the episodes come from.
        length: Steps in a window.
        holdout: Fraction of the episodes that is held out for validation, and again for the test;
            at least one each.
        episodes: Episodes to play in an evaluation, for each target return.
        target_return: Return on which the policy is conditioned, or several, each of which is
            evaluated; if not given, the one that the best tenth of the training episodes reach.
        order: Order in which the data number the choices of the environment, in past actions and
            in those to predict; the order of the environment if not given.
        horizon: Longest episode that is played, in steps; as long as the environment allows if not
            given.
        options: Batch sizes, workers and seed, as in `PredictiveData`.

    Raises:
        ValueError: If an option is out of its range, there are fewer than three episodes, an
            action is impossible in the environment, the order is not one of its actions, or the
            source cannot be read.
    """

    def __init__(
        self,
        source: EpisodeSource,
        length: int = 20,
        holdout: float = 0.1,
        episodes: int = 16,
        target_return: float | list[float] | None = None,
        order: ActionOrder | None = None,
        horizon: int | None = None,
        **options: Unpack[DataOptions],
    ) -> None:
        super().__init__(**options)
        counts = {"length": length, "episodes": episodes, "horizon": horizon}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"TrajectoryData: {name}={value} is too small; use at least 1.")
        if not 0 < holdout < 0.5:
            raise ValueError(
                f"TrajectoryData: holdout={holdout} is taken twice, for validation and test; "
                "use a fraction between 0 and 0.5."
            )
        self.source, self.archive = source, Archive(source, holdout, horizon)
        self.length, self.episodes = length, episodes
        self._targets = None if target_return is None else target_list(target_return)
        self.order = order
        self._trained: TrajectorySpec | None = None

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes over how observations and returns were scaled, and the actions to choose from.

        Raises:
            ValueError: If observations or actions are others than those of the checkpoint.
        """
        trained = trained_spec(checkpoint, TrajectorySpec)
        if trained is not None:
            self._check_actions(trained)
            if self.archive.shape != tuple(trained.observation):
                raise ValueError(
                    f"TrajectoryData: observations have the shape {self.archive.shape}, the model "
                    f"was trained on {tuple(trained.observation)}; give episodes like those."
                )
        self._trained = trained

    def _check_actions(self, trained: TrajectorySpec) -> None:
        order = () if self.order is None else self.order.actions
        if order != trained.order:
            raise ValueError(
                "TrajectoryData: the model was trained with another order of actions; drop order."
            )
        if not _fits(self.support, trained.support, exactly=self.archive.environment is not None):
            raise ValueError(
                f"TrajectoryData: the actions are {self.support}, the model was trained on "
                f"{trained.support}; give episodes with the same actions."
            )

    @property
    def spec(self) -> TrajectorySpec:
        """Facts of the environment and of the training episodes, or of those of a checkpoint."""
        archive = self.archive
        spec = TrajectorySpec(
            support=self.support,
            observation=archive.shape,
            length=self.length,
            horizon=archive.horizon,
            environment=self.source.environment,
            mean=archive.facts.mean,
            std=archive.facts.std,
            return_scale=float(np.abs(archive.returns).mean()) or 1.0,
            random_return=archive.facts.random_return,
            data_return=float(archive.returns.mean()),
            order=() if self.order is None else self.order.actions,
            longest=int(archive.length.max()),
            target_returns=self.target_returns,
        )
        if self._trained is None:
            return spec
        return replace(spec, **{name: getattr(self._trained, name) for name in LEARNT})

    @property
    def support(self) -> Tokens | Interval:
        """The possible actions."""
        support = self.archive.support
        if self.order is not None:
            self.order.require(support)
        return support

    @property
    def target_returns(self) -> tuple[float, ...]:
        """The returns on which the policy is conditioned, each in episodes of its own."""
        if self._targets is not None:
            return self._targets
        return (float(np.quantile(self.archive.returns, TARGET_QUANTILE)),)

    def dataset(self, split: str) -> Dataset:
        """Returns the windows of "train", "val" or "test", or the episodes to "predict"."""
        if split == "predict":
            return self.seeds(split, self.target_returns)
        _ = self.support  # refuses an order of other actions
        kind = TrainingWindows if split == "train" else CoveringWindows
        archive, chosen = self.archive, self.archive.split[split]
        action = archive.action
        windows = kind(
            archive.observation,
            action if self.order is None else OrderedActions(action, self.order),
            archive.mapped("return_to_go"),
            archive.first[chosen],
            archive.length[chosen],
            self.length,
        )
        if split == "train" or archive.chances is None:
            return windows
        return KnownWindows(windows, archive.chances)

    def truth(self, batch: KnownTrajectoryBatch) -> Distribution | None:
        """Returns what the actions of evaluation windows were drawn from, batch shape `[B, T]`.

        It is None where the source does not know it.
        """
        if self.archive.chances is None:
            return None
        order = slice(None) if self.order is None else list(self.order.actions)
        return true_distribution(batch.chances[..., order], self.support)

    def baselines(self, split: str, batches: Sequence[float], metrics: Set[str]) -> Baselines:
        """Scores one prediction for all held-out steps, where what they were drawn from is known.

        It does not depend on the order of the actions.
        """
        chances = self.archive.chances
        if chances is None or DIVERGENCE not in metrics:
            return NONE
        known, held_out = (
            chances[steps_of(self.archive.first[part], self.archive.length[part])]
            for part in (self.archive.split[name] for name in ("train", split))
        )
        return Baselines({"constant": {DIVERGENCE: kl_of_constant(known, held_out, self.support)}})

    def seeds(self, split: str, returns: Sequence[float]) -> EpisodeSeeds:
        """Returns the episodes to play in "val", "test" or "predict" for some target returns.

        Raises:
            ValueError: If there is no environment to play in.
        """
        if not self.source.environment:
            raise ValueError(
                f"TrajectoryData: {type(self.source).__name__} names no environment to play in; "
                "set its gymnasium id."
            )
        first = FIRST_SEED[split]
        return EpisodeSeeds(range(first, first + self.episodes), returns)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Makes the loaders of the validation windows and, where possible, of episodes."""
        return self._loaders("val")

    def test_dataloader(self) -> list[DataLoader[Any]]:
        """Makes the loaders of the test windows and, where possible, of episodes."""
        return self._loaders("test")

    def _loaders(self, split: str) -> list[DataLoader[Any]]:
        targets = self.target_returns if self.source.environment else ()
        played = [self.seeds(split, (target,)) for target in targets]
        return [self._evaluation(examples) for examples in (self.dataset(split), *played)]


def _fits(support: Tokens | Interval, trained: Tokens | Interval | Bins, exactly: bool) -> bool:
    """Returns whether actions are among those that a model can choose, or exactly those."""
    if exactly:
        return support == trained
    if isinstance(support, Tokens) and isinstance(trained, Tokens):
        return support.size <= trained.size
    return not isinstance(support, Tokens) and support.shape == trained.shape
