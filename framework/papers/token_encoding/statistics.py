"""Statistics of a linear read-out over many contexts, gathered in one pass and stored."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from framework.analysis.least_squares import parts
from framework.analysis.sample import Sample
from framework.modules.base import PredictiveModule
from framework.papers.token_encoding.contexts import Contexts, ContextSample
from framework.papers.token_encoding.readout import Readout, readout, states
from framework.papers.token_encoding.token_statistics import Sums, TokenStatistics

CONTEXTS = 16_384  # that are kept, by default
KIND, VERSION = "overtone token statistics", "1"  # say in a file what it holds, and how
STRIDE = 1_000_003  # between the numbers of contexts of neighboring examples, a prime
LEAST = torch.finfo(torch.float32).tiny  # of a mean of float32 probabilities that is exact


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of a read-out over N contexts, on the CPU.

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

    @property
    def resolved(self) -> Tensor:
        """Tokens whose alpha float32 resolves, `[V]` bool: below 1e-38, P(w|x) is cut off.

        Others may have an alpha of 0, whose logarithm is infinite; leave them out of regressions.
        """
        return self.alpha >= LEAST

    def log_geometric(self, own: Readout) -> Tensor:
        """Returns the mean of log P(w|x), `[V]` float64: exactly linear in the rows.

        Args:
            own: The read-out that the statistics were gathered with.
        """
        linear = torch.cat([part.cpu() @ self.mean for part in parts(own.weight)]) - self.log_z
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
        """Writes them as safetensors, aside first, so that the file is complete or not there.

        Args:
            path: The file; one that is there is replaced.
        """
        tensors = {name: getattr(self, name) for name in TENSORS}
        tensors |= {f"contexts.{name}": getattr(self.contexts, name) for name in FIELDS}
        texts = {
            "kind": KIND,
            "version": VERSION,
            "numbers": json.dumps({name: getattr(self, name) for name in NUMBERS}),
            "fingerprint": self.fingerprint,
            "provenance": json.dumps(dict(self.provenance)),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.part")
        try:
            save_file({name: value.contiguous() for name, value in tensors.items()}, aside, texts)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

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
        if texts.get("version") != VERSION:
            raise ValueError(
                f"The statistics {str(path)!r} are of version {texts.get('version')}, this "
                f"release reads version {VERSION}; gather them again with `overtone probe`."
            )
        try:
            numbers = json.loads(texts["numbers"])
            return cls(
                **{name: numbers[name] for name in NUMBERS},
                **{name: tensors[name] for name in TENSORS},
                contexts=Contexts(*(tensors[f"contexts.{name}"] for name in FIELDS)),
                fingerprint=texts["fingerprint"],
                provenance=json.loads(texts["provenance"]),
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"The statistics {str(path)!r} are not complete ({error}); gather them again with "
                "`overtone probe`."
            ) from error


TENSORS = ("alpha", "mean", "covariance", "counts")
FIELDS = ("hidden", "target")  # of contexts
NUMBERS = ("positions", "log_z", "log_z_variance", "nll")


def gather(
    module: PredictiveModule,
    sample: Sample,
    contexts: int = CONTEXTS,
    provenance: Mapping[str, str] | None = None,
) -> Statistics:
    """Reads a sample once, and gathers statistics of the read-out.

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
    with _evaluating(module):
        for numbers, batch in sample:
            counted = batch.weight > 0  # [B, T]
            with torch.autocast(counted.device.type, enabled=False):
                hidden = states(module, batch)[counted]
            target = batch.target[counted]
            metric.update(hidden, target)
            places = numbers[:, None] * STRIDE + torch.arange(counted.shape[1])
            kept.add(places.to(counted.device)[counted], hidden, target)
    sums = metric.compute()
    positions = int(sums.positions)
    _check(sums, positions, module)
    log_z, log_z_squares = (sums.log_z / positions).tolist()
    mean = (sums.hidden / positions).cpu()
    covariance = (sums.products / positions).cpu() - mean[:, None] * mean
    covariance.diagonal().clamp_(min=0)  # where nothing varies, rounding may leave less
    return Statistics(
        positions=positions,
        alpha=(sums.probability / positions).cpu(),
        log_z=log_z,
        log_z_variance=max(0.0, log_z_squares - log_z**2),
        mean=mean,
        covariance=covariance,
        counts=sums.counts.long().cpu(),
        contexts=kept.gather(),
        fingerprint=own.fingerprint(),
        provenance=provenance or {},
        nll=-float(sums.likelihood) / positions,
    )


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Sets all parts to evaluation, and each back to what it was."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _check(sums: Sums, positions: int, module: PredictiveModule) -> None:
    """Checks sums over all processes, so that every process finds the same."""
    if positions == 0:
        raise ValueError("No position of the data counts; give data with targets.")
    for what, found in {"hidden states": sums.hidden, "logits": sums.probability}.items():
        if not found.isfinite().all():
            raise ValueError(
                f"The {what} of {type(module).__name__} are not finite; its weights or the data "
                "are damaged, use an earlier checkpoint."
            )
