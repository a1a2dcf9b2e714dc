"""Language models: tokens are predicted from the tokens before them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from components.data import PairBatch, PromptBatch, TokenBatch, TokenSpec
from components.interfaces import Head, Stem
from framework.data.protocols import CountsTokens, EndsDocuments, MeasuresBytes, ReadsText
from framework.evaluation.continuation import continuations, draws
from framework.evaluation.generation import SAMPLING, Sampling
from framework.figures import draw_next_tokens
from framework.modules.base import PredictiveModule, WeightedValues

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import ModuleOptions

PANELS = 6  # positions of a text that a figure shows


class LanguageModel(PredictiveModule):
    """Trains and evaluates a model of text.

    Reports accuracy, perplexity and bits per byte, which is comparable between tokenizers; bytes
    are those of all of the text that is evaluated. Prediction continues the prompts of the data
    or, where there are none, each window from all but its last `sampling.length` tokens; one that
    has no more is continued from its end. Of pairs of texts the second is written, from its start
    token on.

    Args:
        sampling: How texts are continued.
        tied: Whether the head shares the matrix of the input embedding.
        options: Options of every module, see `PredictiveModule`.

    Raises:
        ValueError: If the head or the stem has no matrix to share.

    Source: tied read-out: Press and Wolf, "Using the Output Embedding to Improve Language Models"
        (arXiv:1608.05859).
    """

    kind = TokenSpec
    spec: TokenSpec

    def __init__(
        self,
        *,
        sampling: Sampling = SAMPLING,
        tied: bool = False,
        **options: Unpack[ModuleOptions],
    ) -> None:
        super().__init__(**options)
        self.sampling, self.tied = sampling, tied

    def _join(self, stem: Stem, head: Head) -> None:
        if self.tied:
            head.tie(stem.lookup())

    def metrics(self, prediction: Any, batch: TokenBatch) -> Mapping[str, WeightedValues]:
        """Returns the accuracy of the most likely token."""
        return {"accuracy": ((prediction.mode == batch.target).float(), batch.weight)}

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Derives perplexity and bits per byte from the mean negative log-likelihood.

        Bytes are those of the split that is evaluated, all of it.
        """
        length = self.spec.bytes_per_token
        if isinstance(self.data, MeasuresBytes):
            length = self.data.bytes_per_token("test" if self.trainer.testing else "val")
        return text_metrics(means["nll"], length)

    def figures(self, batch: TokenBatch) -> Mapping[str, Figure]:
        """Draws the next-token distribution at some positions of the first text."""
        counted = batch.weight[0].nonzero()[:, 0]
        chosen = counted[torch.linspace(0, len(counted) - 1, PANELS + 1)[1:].long()]
        probs = self(type(batch)(*(field[:1] for field in batch))).probs[0, chosen]
        figure = draw_next_tokens(
            batch.tokens[0], probs, batch.target[0], chosen.tolist(), self._decoder()
        )
        return {"next_tokens": figure}

    def predict_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Continues prompts, or the beginning of each window; rows hold text and tokens.

        A row does not depend on the others: nothing but its own tokens is read.
        """
        prompts = self._prompts(batch)
        given, source = [prompt.tolist() for prompt in prompts], None
        if isinstance(batch, PairBatch):
            given = [x[mask].tolist() for x, mask in zip(batch.source, batch.mask, strict=True)]
            source = self.stem(batch)
        steps = continuations(
            *(self.stem, self.backbone, self.head, prompts, self.sampling),
            draws(given, [0] * len(given), self.sampling),
            self.spec.length,
            self.data.vocabulary_size if isinstance(self.data, CountsTokens) else None,
            source,
        )
        new = [self._document(row) for row in torch.stack(list(steps), 1).tolist()]
        decode = self._decoder()
        return [
            {"prompt": decode(prompt), "text": decode(added), "tokens": added}
            for prompt, added in zip(given, new, strict=True)
        ]

    def _document(self, tokens: list[int]) -> list[int]:
        """Cuts tokens where the document ends; what follows belongs to another one."""
        ends = self.data.end_tokens if isinstance(self.data, EndsDocuments) else ()
        stops = (place for place, token in enumerate(tokens) if token in ends)
        return tokens[: next(stops, len(tokens))]

    def _prompts(self, batch: TokenBatch | PromptBatch | PairBatch) -> list[Tensor]:
        """Returns what is to be continued, without padding: all of prompts, parts of windows."""
        if isinstance(batch, PairBatch):
            return list(batch.tokens[:, :1])
        if isinstance(batch, PromptBatch):
            return [tokens[mask] for tokens, mask in zip(batch.tokens, batch.mask, strict=True)]
        ends = [int(weight.nonzero()[-1]) + 1 for weight in batch.weight]
        held_back = self.sampling.length
        lengths = [end - held_back if end > held_back else end for end in ends]
        return [tokens[:length] for tokens, length in zip(batch.tokens, lengths, strict=True)]

    def _generator(self, batch_idx: int) -> torch.Generator:
        """Seeds sampling by the position of the batch in the data, whichever process has it."""
        rank, processes = self.place
        part = batch_idx * processes + rank
        return torch.Generator(self.device).manual_seed(self.sampling.seed + part)

    def _decoder(self) -> Callable[[list[int]], str]:
        """Returns the decoder of the data, or one that lists ids where there is no text."""
        return self.data.decode if isinstance(self.data, ReadsText) else _numbers


def text_metrics(nll: float, bytes_per_token: float) -> dict[str, float]:
    """Derives perplexity and bits per byte.

    Args:
        nll: Mean negative log-likelihood of the tokens, in nats.
        bytes_per_token: Mean length of these tokens; NaN where it is not known, and bits per byte
            are left out.
    """
    found = {"perplexity": math.inf if nll > 700 else math.exp(nll)}  # float64 ends at e^709
    if not math.isnan(bytes_per_token):
        found["bits_per_byte"] = nll / math.log(2) / bytes_per_token
    return found


def _numbers(tokens: list[int]) -> str:
    return " ".join(str(token) for token in tokens)
