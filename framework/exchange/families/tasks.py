"""What models of a family do: their module, the facts of its data, and its options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from components.data import SeriesSpec, TokenSpec
from components.supports import Interval, Tokens
from framework.data.series.scaling import MeanScaling
from framework.evaluation.forecasting import Paths
from framework.exchange.families.entries import Options
from framework.exchange.families.t5_entries import SPECIALS
from framework.exchange.nodes import ConfigNode
from framework.modules.base import PredictiveModule
from framework.modules.forecast import Forecaster
from framework.modules.language import LanguageModel

CHOICE = ("samples", "temperature", "top_k")  # how values are drawn
ROUNDING = 9  # decimals of a limit, which is computed from edges


class Task(ABC):
    """The module that models of a family become.

    `module` is its class, `pipeline` what it does, as the hub names it, and `continues` whether
    files say how texts are continued.
    """

    module: ClassVar[type[PredictiveModule]]
    pipeline: str
    continues: bool

    @abstractmethod
    def spec(self, known: Options) -> TokenSpec | SeriesSpec:
        """Returns the facts of the data."""

    @abstractmethod
    def options(self, known: Options) -> dict[str, Any]:
        """Returns options of the module, beside its parts."""

    @abstractmethod
    def known(self, owner: str, model: Mapping[str, Any]) -> Options:
        """Returns, from the hyper-parameters of a module, what `spec` and `options` are made of.

        Args:
            owner: The checkpoint, for messages.
            model: The hyper-parameters.

        Raises:
            ValueError: If the format cannot express one of them.
        """


class Text(Task):
    """Predicts tokens: `size` of them, up to `length` in a row.

    Args:
        pipeline: What such a model does, as the hub names it.
        continues: Whether files say how texts are continued.
    """

    module = LanguageModel

    def __init__(self, pipeline: str, continues: bool) -> None:
        self.pipeline, self.continues = pipeline, continues

    def spec(self, known: Options) -> TokenSpec:
        """Returns the facts of the data."""
        return TokenSpec(Tokens(known["size"]), known["length"])

    def options(self, known: Options) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def known(self, owner: str, model: Mapping[str, Any]) -> Options:
        """Returns size and length; see `Task.known`."""
        return {"size": model["spec"].support.size, "length": model["spec"].length}


class Series(Task):
    """Forecasts series that are divided by their mean absolute value, cell by cell.

    The middles of the first and the last of `head.bins` equal cells are `low` and `high`.
    """

    module = Forecaster
    pipeline = "time-series-forecasting"
    continues = False

    def spec(self, known: Options) -> SeriesSpec:
        """Returns the facts of the data."""
        low, high = known["low"], known["high"]
        half = (high - low) / (known["head.bins"] - 1) / 2
        return SeriesSpec(
            Interval(low - half, high + half),
            context=known["context"],
            horizon=known["horizon"],
            season=1,
            scaling=MeanScaling().describe(),
        )

    def options(self, known: Options) -> dict[str, Any]:
        """Returns how paths are drawn."""
        return {"paths": Paths(**{name: known[f"paths.{name}"] for name in CHOICE})}

    def known(self, owner: str, model: Mapping[str, Any]) -> Options:
        """Returns limits, lengths and how paths are drawn; see `Task.known`."""
        spec, cells = model["spec"], ConfigNode(owner, "the head", model["head"]).options["bins"]
        scaling = (spec.scaling or {}).get("class_path")
        if scaling != MeanScaling().describe()["class_path"]:
            raise ValueError(
                f"{owner} has the scaling {scaling}, which the format cannot express; only "
                "MeanScaling can be exported."
            )
        if not isinstance(cells, int):
            raise ValueError(
                f"{owner} has unequal cells, bins={cells}, which the format cannot express; only "
                "a number of equal ones can be exported."
            )
        half = (spec.support.high - spec.support.low) / cells / 2
        paths = {name: getattr(Paths(), name) for name in CHOICE} | _options(model.get("paths"))
        return {
            "size": cells + SPECIALS,
            "low": round(spec.support.low + half, ROUNDING),
            "high": round(spec.support.high - half, ROUNDING),
            "context": spec.context,
            "horizon": spec.horizon,
            **{f"paths.{name}": paths[name] for name in CHOICE},
        }


def _options(paths: Any) -> dict[str, Any]:
    """Returns the options of paths, as a checkpoint holds them."""
    return dict(paths if isinstance(paths, Mapping) else vars(paths) if paths else {})


TEXT = Text("text-generation", continues=True)
TEXT_TO_TEXT = Text("text2text-generation", continues=False)
SERIES = Series()
