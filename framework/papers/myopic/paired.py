"""A study of arms that are trained alike, and differ only in which gradients reach the past."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framework.papers.myopic.parity import require_parity
from framework.studies.results import Result, rival
from framework.studies.runs import Run, filled
from framework.studies.variants import Variants


class PairedArms(Variants):
    """Measures how much models lose by not planning ahead: myopic arms against a vanilla one.

    All arms of a seed have the same optimizer, schedule, batches, precision and objective; with
    `learning_rates`, each has the rate that is best for it out of the same ones. That is
    checked on what their words build, before any of them runs; an arm that needs the checkpoint of
    another one is checked once that exists. The **myopia gap** of an arm is its metric minus that
    of the vanilla arm of the same seed. The **local myopia bonus** is the metric of the vanilla
    arm minus that of the local myopic arm, which attends to the past of the vanilla arm: what the
    vanilla model gives up at each position for the sake of later ones.

    Args:
        recipe: Words of the command line that all arms share.
        variants: Further words of each arm, by its name, such as `[--config, myopic/hidden]`;
            `{vanilla}` in a word stands for the last checkpoint of that arm with the same seed.
        metrics: The metrics to compare; the first one is that of gap and bonus, and smaller is
            better.
        vanilla: Arm that the others are compared with; of arms `group/name` the last part of the
            name.
        local: Arm that is the local myopic model, if there is one of that name.
        options: Options of `Variants`: seeds, published, tested, curves, against, commands,
            learning_rates, chosen_by, maximized, trivial.

    Raises:
        ValueError: If there is nothing to run, or no vanilla arm; in `run`, if arms are not
            trained alike.

    Source: Wu, Morris, Levine, "Do language models plan ahead for future tokens?"
        (arXiv:2404.00859), definitions 3 and 4.
    """

    def __init__(
        self,
        recipe: list[str],
        variants: dict[str, list[str]],
        metrics: list[str],
        vanilla: str = "vanilla",
        local: str = "local",
        **options: Any,
    ) -> None:
        super().__init__(recipe, variants, metrics, baseline=vanilla, **options)
        self.vanilla, self.local = vanilla, local

    def launch(self, folder: Path, runs: Sequence[Run], jobs: int) -> list[Path]:
        """Trains arms side by side, after checking that they are trained alike.

        One seed is checked, as only the seed differs between the words of the others; of several
        learning rates one, which both are given.

        Raises:
            ValueError: If they are not trained alike.
        """
        arms = {run.variant: run for run in reversed(runs)}
        for variant, run in arms.items():
            standard = rival(variant, self.vanilla)
            if variant != standard:
                other = self.grid.run(standard, run.seed, run.learning_rate)
                words = {standard: filled(folder, other), variant: filled(folder, run)}
                require_parity(words, standard)
        return super().launch(folder, runs, jobs)

    def tables(self, results: Sequence[Result]) -> dict[str, list[list[str]]]:
        """Arranges the results, the myopia gap and the local myopia bonus."""
        tables = super().tables(results)
        gaps = [r for r in results if rival(r.variant, self.local) != r.variant]
        pair = [r for r in results if r.variant in self._pairs(r.variant)]
        tables["Differences"] = self.differences(gaps, self.vanilla)
        if len(bonus := self.differences(pair, self.local)) > 1:
            tables["Local myopia bonus"] = bonus
        return {{"Differences": "Myopia gap"}.get(title, title): x for title, x in tables.items()}

    def _pairs(self, variant: str) -> tuple[str, str]:
        return rival(variant, self.vanilla), rival(variant, self.local)
