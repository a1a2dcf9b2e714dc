"""PlayedEpisodes: the returns of episodes by target, and scores against named references."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from components.metrics.returns import RANDOM
from framework.data.trajectories.targets import written
from framework.tables import plus_minus

SCORE = f"score_{RANDOM}_to_"


@dataclass(frozen=True, eq=False)
class PlayedEpisodes:
    """Episodes that a policy has played.

    Args:
        environment: Id of the environment.
        episodes: A row an episode, with the columns `target_return`, `seed`, `return`, `steps`,
            `end` (how it ended: `terminated`, `truncated` by the environment, or cut at the
            `horizon`) and, for each reference but `random`, a score such as
            `score_random_to_data`: 0 for the mean return at random, 100 for that of the data.
        references: Known mean returns by name: `random`, `data`, `expert`.
    """

    environment: str
    episodes: pd.DataFrame
    references: Mapping[str, float]

    @property
    def scores(self) -> list[str]:
        """The columns of scores."""
        return [name for name in self.episodes.columns if name.startswith(SCORE)]

    def summary(self) -> pd.DataFrame:
        """Returns a row a target return: the number of episodes `n`, means and deviations.

        Deviations are those of a sample, with n - 1 in the denominator; NaN for one episode.
        """
        groups = self.episodes.groupby("target_return", sort=False)
        columns = {"n": groups.size(), "steps": groups["steps"].mean()}
        for name in ("return", *self.scores):
            columns[name] = groups[name].mean()
            columns[f"{name}_std"] = groups[name].std(ddof=1)
        return pd.DataFrame(columns).reset_index()

    def table(self) -> list[list[str]]:
        """Arranges the summary as rows of cells, then a row a reference; the first is the head."""
        titles = [f"score ({RANDOM} 0, {name.removeprefix(SCORE)} 100)" for name in self.scores]
        rows = [["target return", "return", "n", "steps", *titles]]
        for row in self.summary().to_dict("records"):
            returned, *spreads = (
                plus_minus(row[name], row[f"{name}_std"]) for name in ("return", *self.scores)
            )
            counts = str(row["n"]), f"{row['steps']:.5g}"
            rows.append([written(row["target_return"]), returned, *counts, *spreads])
        return [*rows, *(self._reference(name, mean) for name, mean in self.references.items())]

    def _reference(self, name: str, mean: float) -> list[str]:
        random = self.references.get(RANDOM, math.nan)
        cells = []
        for score in self.scores:
            best = self.references[score.removeprefix(SCORE)]
            cells.append(f"{100 * (mean - random) / (best - random) + 0.0:.4g}")
        return [name, f"{mean:.4g}", "", "", *cells]
