"""Statistics: what a linear read-out says over many contexts, gathered in one pass and kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from framework.analysis.encoding.contexts import Contexts, ContextSample
from framework.analysis.encoding.readout import Readout, readout, states
from framework.analysis.sample import Sample
from framework.metrics.token_statistics import TokenStatistics
from framework.modules.base import PredictiveModule

CONTEXTS = 16_384  # that are kept, by default
KIND = "overtone token statistics 1"  # says in a file what it holds
PROVENANCE = "provenance"


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a read-out says over N contexts, on the CPU.

    Args:
        positions: N.
        alpha: Mean of P(w|x), `[V]` float64.
        log_z: Mean of log Z.
        log_z_variance: Variance of log Z over contexts.
        mean: Mean of what is read, `[D]` float64.
        covariance: Its covariance over contexts, `[D, D]` float64.
        counts: How often each token came, `[V]` int64.
        contexts: A sample of the contexts, for edits and deletions.
        fingerprint: Of the read-out that they belong to.
        provenance: Where they are from: checkpoint, data, versions.
        nll: Mean of -log P of the token that came; nan if it was not measured.
    """

    positions: int
    alpha: Tensor
    log_z: float
    log_z_variance: float
    mean: Tensor
    covariance: Tensor
    counts: Tensor
    contexts: Contexts
    fingerprint: str
    provenance: Mapping[str, str] = field(default_factory=dict)
    nll: float = math.nan

    def log_geometric(self, own: Readout) -> Tensor:
        """Returns the mean of log P(w|x), `[V]` float64: exactly linear in the rows.

        Args:
            own: The read-out that the statistics were gathered with.
        """
        linear = own.weight.cpu().double() @ self.mean - self.log_z
        return linear if own.bias is None else linear + own.bias.cpu().double()

    def require(self, own: Readout) -> None:
        """Raises a ValueError if they were gathered with another read-out than `own`."""
        if own.fingerprint() != self.fingerprint:
            source = self.provenance.get("checkpoint", "another checkpoint")
            raise ValueError(
                f"These statistics were gathered with the read-out of {source}, which is another; "
                "gather those of this checkpoint with `overtone probe`."
            )

    def save(self, path: Path) -> None:
        """Writes them as safetensors.

        Args:
            path: The file; one that is there is replaced.
        """
        tensors = {
            "alpha": self.alpha,
            "mean": self.mean,
            "covariance": self.covariance,
            "counts": self.counts,
            "contexts.hidden": self.contexts.hidden,
            "contexts.target": self.contexts.target,
        }
        numbers = {
            "positions": self.positions,
            "log_z": self.log_z,
            "log_z_variance": self.log_z_variance,
            "nll": self.nll,
        }
        texts = {
            "kind": KIND,
            "numbers": json.dumps(numbers),
            "fingerprint": self.fingerprint,
            PROVENANCE: json.dumps(dict(self.provenance)),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: x.contiguous() for name, x in tensors.items()}, path, texts)

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Reads a file that `save` wrote.

        Raises:
            ValueError: If there is no such file, it is damaged or something else.
        """
        if not path.is_file():
            raise ValueError(f"There are no statistics {str(path)!r}; check the path.")
        try:
            with safe_open(path, "pt") as file:
                texts = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(
                f"The file {str(path)!r} is damaged or holds no statistics ({error}); gather them "
                "again with `overtone probe`."
            ) from error
        if texts.get("kind") != KIND:
            raise ValueError(
                f"The file {str(path)!r} holds no statistics of tokens; give one that "
                "`overtone probe` wrote."
            )
        contexts = Contexts(tensors.pop("contexts.hidden"), tensors.pop("contexts.target"))
        return cls(
            **json.loads(texts["numbers"]),
            **tensors,
            contexts=contexts,
            fingerprint=texts["fingerprint"],
            provenance=json.loads(texts[PROVENANCE]),
        )


def gather(
    module: PredictiveModule,
    sample: Sample,
    contexts: int = CONTEXTS,
    provenance: Mapping[str, str] | None = None,
) -> Statistics:
    """Reads a sample once, and returns what the model says in it.

    Positions of weight 0 are left out. The model computes in evaluation mode, in the type of its
    parameters; its mode is restored. Every process gets the same result.

    Args:
        module: The model, built.
        sample: What it reads; processes share it.
        contexts: How many contexts are kept.
        provenance: What to note beside the numbers.

    Raises:
        ValueError: If the head has no output embedding, no position counts, or a hidden state is
            not finite.
    """
    own = readout(module)
    metric, kept = TokenStatistics(own.weight, own.bias), ContextSample(contexts)
    training = module.training
    module.eval()
    try:
        for numbers, batch in sample:
            counted = batch.weight > 0  # [B, T]
            with torch.autocast(counted.device.type, enabled=False):
                hidden = states(module, batch)[counted]
            if not hidden.isfinite().all():
                raise ValueError(
                    f"The hidden states of {type(module).__name__} are not finite; its weights or "
                    "the data are damaged, use an earlier checkpoint."
                )
            metric.update(hidden, batch.target[counted])
            length = counted.shape[1]
            places = numbers[:, None] * length + torch.arange(length)
            kept.add(places.to(counted.device)[counted], hidden, batch.target[counted])
    finally:
        module.train(training)
    sums = metric.compute()
    positions = int(sums.positions)
    if positions == 0:
        raise ValueError("No position of the data counts; give data with targets.")
    count = float(positions)
    log_z, log_z_squares = (sums.log_z / count).tolist()
    mean = (sums.hidden / count).cpu()
    return Statistics(
        positions=positions,
        alpha=(sums.probability / count).cpu(),
        log_z=log_z,
        log_z_variance=log_z_squares - log_z**2,
        mean=mean,
        covariance=(sums.products / count).cpu() - mean[:, None] * mean,
        counts=sums.counts.cpu(),
        contexts=kept.gather(),
        fingerprint=own.fingerprint(),
        provenance=provenance or {},
        nll=-float(sums.likelihood) / positions,
    )
