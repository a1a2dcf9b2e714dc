"""How the output embedding comes to encode probabilities, watched while a model is trained."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from matplotlib.figure import Figure
from torch import Tensor

from framework.callbacks.pictures import boards, save, show
from framework.data.module import PredictiveData
from framework.modules.base import PredictiveModule
from framework.papers.token_encoding.dynamics import Dynamics, Moment
from framework.papers.token_encoding.figures.dynamics import draw_dynamics
from framework.papers.token_encoding.figures.probes import (
    draw_components,
    draw_fits,
    draw_saliency,
)
from framework.run_files import FIGURES

NAME = "encoding"  # in front of what is logged and written
SHOWN = {
    "frequency": "frequency, output embedding",
    "frequency_input": "frequency, input embedding",
    "alpha": "mean probability",
}
LATEST = 40  # binary logarithm of the last step that is measured


class TokenEncoding(Callback):
    """Measures at log-spaced steps how the output embedding encodes probabilities of tokens.

    It regresses them on the rows of the embedding; `Dynamics` defines the scores, which all
    loggers get as `encoding/…`. Pictures go to TensorBoard at the same steps, those of the last
    one into the log directory at the end, beside one of R² over the steps and all scores as
    `figures/encoding.csv`. Steps are 0, 1, 2, 4, 8, … and the last one.

    Training is left as it is, to the bit. A resumed run goes on where the checkpoint was written,
    which keeps the scores and the first output embedding, V x D numbers. A step where something is
    not finite is left out, with a warning.

    With 4,096 tokens, width 128 and 8,192 contexts a step takes 0.9 s on one core of a CPU: 0.3 s
    to read, 0.2 s to regress, 0.4 s to draw. Regressions take the longer, the larger V D² is: some
    25 s for 50,257 tokens and width 768.

    Args:
        sequences: Validation examples to read, evenly spread and the same each time.
        per_octave: Steps that are measured from one power of two to the next, at least 1.

    Raises:
        ValueError: If an option is not positive; when training starts, if the model has no output
            embedding, the data no examples of ours or too few different tokens.

    Source: Cho et al., "Understanding Token Probability Encoding in Output Embeddings"
        (arXiv:2406.01468): frequencies are encoded early.
    """

    def __init__(self, sequences: int = 128, per_octave: int = 2) -> None:
        for name, value in {"sequences": sequences, "per_octave": per_octave}.items():
            if value < 1:
                raise ValueError(f"TokenEncoding: {name}={value} is not positive; use 1 or more.")
        self.sequences, self.per_octave = sequences, per_octave
        powers = (2 ** (k / per_octave) for k in range(LATEST * per_octave))
        self._steps = {0, *map(round, powers)}
        self._history: dict[int, dict[str, float]] = {}
        self._start: Tensor | None = None  # the first output embedding
        self._moment: Moment | None = None  # the last one

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Resets, before the state of a resumed run is loaded."""
        self._history, self._start, self._moment = {}, None, None

    def state_dict(self) -> dict[str, Any]:
        """Returns what was measured, and the embedding that later ones are compared with."""
        return {"history": dict(self._history), "start": self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what was measured until the checkpoint was written."""
        self._history, self._start = dict(state_dict["history"]), state_dict["start"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks that there is something to measure."""
        assert isinstance(pl_module, PredictiveModule)
        data = trainer.datamodule  # type: ignore[attr-defined]  # set from outside
        if not isinstance(data, PredictiveData):
            raise ValueError(
                f"TokenEncoding reads validation examples of a PredictiveData, got "
                f"{type(data).__name__}; train on data such as TokenData, or drop it."
            )
        try:
            self._dynamics = Dynamics(pl_module, data, self.sequences)
        except ValueError as error:
            raise ValueError(f"TokenEncoding has nothing to measure: {error}") from error

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures the model that training begins with."""
        if not self._history or trainer.global_step in self._steps:
            self._measure(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Measures the model after a selected step."""
        step = trainer.global_step
        if step in self._steps or step == trainer.estimated_stepping_batches:
            pl_module.log_dict(self._measure(trainer, pl_module), logger=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures the last model, and writes all scores and the last pictures."""
        self._measure(trainer, pl_module)
        directory = trainer.log_dir  # a collective: every process asks
        if not (trainer.is_global_zero and trainer.loggers and directory):
            return
        last = {} if self._moment is None else _draw(self._moment)
        save(directory, {**last, NAME: self._overview()})
        path = Path(directory).resolve() / FIGURES / f"{NAME}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = list(next(iter(self._history.values())))
            writer.writerow(("step", *names))
            for step, scores in self._history.items():
                writer.writerow((step, *(f"{scores[name]:.7g}" for name in names)))
        print(f"Table: {path}", flush=True)

    def _measure(self, trainer: Trainer, module: LightningModule) -> dict[str, float]:
        """Measures, logs and draws once a step; returns what was logged now."""
        step = trainer.global_step
        if step in self._history:
            return {}
        assert isinstance(module, PredictiveModule)
        try:
            moment = self._moment = self._measured(trainer, module)
        except ValueError as error:
            if not self._history:
                raise
            warnings.warn(f"TokenEncoding leaves out step {step}: {error}", stacklevel=2)
            return {}
        self._history[step] = moment.scores
        found = {f"{NAME}/{name}": score for name, score in moment.scores.items()}
        for logger in trainer.loggers:
            logger.log_metrics(found, step)
        if trainer.is_global_zero and boards(trainer):
            show(trainer, _draw(moment))
        return found

    def _measured(self, trainer: Trainer, module: PredictiveModule) -> Moment:
        """Measures the model, and leaves it and all generators as they were."""
        training = [part for part in module.modules() if part.training]
        with isolate_rng():
            try:
                with trainer.precision_plugin.forward_context():
                    snapshot = self._dynamics.read(module)
                if self._start is None:
                    self._start = snapshot.readout.weight.cpu()
                return self._dynamics.measure(snapshot, self._start)
            finally:
                module.eval()
                for part in training:
                    part.training = True

    def _overview(self) -> Figure:
        """Draws R² over the steps."""
        rows = list(self._history.values())
        present = {name: said for name, said in SHOWN.items() if name in rows[0]}
        shown = {said: [row[name] for row in rows] for name, said in present.items()}
        return draw_dynamics(list(self._history), shown, [row["nll"] for row in rows])


def _draw(moment: Moment) -> dict[str, Figure]:
    """Draws fits of the targets, saliency of dimensions, and principal components of rows."""
    probes = {"-log alpha": moment.alpha, "-log frequency": moment.frequency}
    fits = {name: (each.target, each.predicted) for name, each in probes.items()}
    return {
        f"{NAME}_fits": draw_fits(fits),
        f"{NAME}_saliency": draw_saliency(moment.alpha.regression.saliency),
        f"{NAME}_components": draw_components(*moment.components, moment.probability),
    }
