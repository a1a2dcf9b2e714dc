"""How the output embedding comes to encode probabilities, watched while a model is trained."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from matplotlib.figure import Figure
from torch import Tensor

from framework.analysis.encoding.dynamics import Dynamics, Moment
from framework.callbacks.pictures import FOLDER, save, show
from framework.data.module import PredictiveData
from framework.figures.dynamics import draw_dynamics
from framework.modules.base import PredictiveModule

PREFIX = "encoding/"  # of what is logged
TABLE = "encoding.csv"  # beside the pictures
SHOWN = {
    "frequency": "frequency, output embedding",
    "frequency_input": "frequency, input embedding",
    "alpha": "mean probability",
}
LATEST = 40  # binary logarithm of the last step that is measured


class TokenEncoding(Callback):
    """Tells at log-spaced steps how the output embedding encodes frequencies and probabilities.

    It regresses them on the rows of the embedding; `Dynamics` says what the scores are, which all
    loggers get as `encoding/…`. Pictures go to TensorBoard at the same steps, those of the last
    one into the log directory at the end, beside one of R² over the steps and all scores as
    `figures/encoding.csv`. Steps are 0, 1, 2, 4, 8, … and the last one.

    Training is left as it is, to the bit. A resumed run goes on where the checkpoint was written:
    its first output embedding and its scores are kept there, `V D` and some hundred numbers. Where
    something is not finite later on, that step is left out with a warning.

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
        self._figures: Mapping[str, Figure] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forgets another run, before the state of this one is loaded."""
        self._history, self._start, self._figures = {}, None, {}

    def state_dict(self) -> dict[str, Any]:
        """Returns what was measured, and the embedding that later ones are compared with."""
        return {"history": self._history, "start": self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what was measured until a checkpoint was written."""
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
        self._dynamics = Dynamics(pl_module, data, self.sequences)

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
        """Measures the model after a step whose time has come."""
        step = trainer.global_step
        if step in self._steps or step == trainer.max_steps:
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures the last model, and writes all scores and the last pictures."""
        self._measure(trainer, pl_module)
        directory = trainer.log_dir  # a collective: every process asks
        if not (trainer.is_global_zero and self._history and trainer.loggers):
            return
        save(directory, {**self._figures, "encoding": self._overview()})
        path = Path(directory or ".").resolve() / FOLDER / TABLE
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = list(next(iter(self._history.values())))
            writer.writerow(("step", *names))
            for step, scores in self._history.items():
                writer.writerow((step, *(f"{scores[name]:.7g}" for name in names)))
        print(f"Table: {path}", flush=True)

    def _measure(self, trainer: Trainer, module: LightningModule) -> None:
        """Measures, logs and draws once a step."""
        step = trainer.global_step
        if step in self._history:
            return
        assert isinstance(module, PredictiveModule)
        try:
            moment = self._moment(trainer, module)
        except ValueError as error:
            if not self._history:
                raise
            warnings.warn(f"TokenEncoding leaves out step {step}: {error}", stacklevel=2)
            return
        self._history[step] = moment.scores
        found = {f"{PREFIX}{name}": score for name, score in moment.scores.items()}
        for logger in trainer.loggers:
            logger.log_metrics(found, step)
        if trainer.is_global_zero and trainer.loggers:
            self._figures = _draw(moment)
            show(trainer, self._figures)

    def _moment(self, trainer: Trainer, module: PredictiveModule) -> Moment:
        """Measures the model, and leaves it and all generators as they were."""
        training = [part for part in module.modules() if part.training]
        with isolate_rng():
            try:
                with trainer.precision_plugin.forward_context():
                    reading = self._dynamics.read(module)
                if self._start is None:
                    self._start = reading.readout.weight.cpu()
                return self._dynamics.measure(reading, self._start)
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
    """Draws a moment."""
    return {}
