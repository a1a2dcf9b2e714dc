"""KernelSynth: series drawn from Gaussian processes with random kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framework.data.series.generated import Generated
from framework.data.series.kernels import BANK, sample


class KernelSynth(Generated):
    """Draws series from Gaussian processes whose kernels are joined at random.

    Of a bank of 33 kernels (level, noise, lines, curves, seasons of many lengths) up to five are
    drawn, with replacement, and joined one after the other, added or multiplied.

    Args:
        number: How many series.
        length: Steps of a series.
        kernels: Most kernels that are joined.
        seed: Seed of the draws.
        workers: Processes that draw; the series do not depend on it.

    Raises:
        ValueError: If nothing would be drawn.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 4.2, algorithm 2.
    """

    def __init__(
        self,
        number: int = 1000,
        length: int = 1024,
        kernels: int = 5,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__(number, seed, workers)
        if length < 2 or kernels < 1:
            raise ValueError(
                f"KernelSynth draws nothing with length={length}, kernels={kernels}; "
                "use at least 2 steps and 1 kernel."
            )
        self.length, self.kernels = length, kernels

    def key(self) -> dict[str, object]:
        """Names the options that the series depend on."""
        options = [self.number, self.length, self.kernels, self.seed]
        return {"kernel_synth": 1, "options": options}

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draws a series, `[length]`: the sum of independent samples of all products."""
        count = int(rng.integers(1, self.kernels + 1))
        chosen = rng.integers(len(BANK), size=count).tolist()
        added = (rng.random(count - 1) < 0.5).tolist()
        parts = [sample(product, self.length, rng) for product in expand(chosen, added)]
        return np.asarray(sum(parts[1:], parts[0]))


def expand(kernels: list[int], added: list[bool]) -> list[tuple[int, ...]]:
    """Writes kernels that are joined one after the other as a sum of products.

    Args:
        kernels: What is joined.
        added: Whether each but the first is added to what comes before it, or multiplied with it.

    Example:
        >>> expand([1, 2, 3, 4], [True, False, True])
        [(1, 3), (2, 3), (4,)]
    """
    terms: list[tuple[int, ...]] = [(kernels[0],)]
    for kernel, plus in zip(kernels[1:], added, strict=True):
        terms = [*terms, (kernel,)] if plus else [(*term, kernel) for term in terms]
    return terms
