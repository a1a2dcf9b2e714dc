"""Types of the options that a module passes on to its base, for type checkers.

These names do not exist at run time, by intention: the command line then follows `**options` to
the constructor that receives them and finds types, defaults and help there. From a `TypedDict` it
would take the types alone, and configurations and help would lose the defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypedDict

    from lightning.pytorch.cli import OptimizerCallable

    from components.interfaces import (
        Adaptation,
        BackboneFactory,
        HeadFactory,
        Initialization,
        LossFactory,
        StemFactory,
    )
    from framework.execution import Execution
    from framework.schedules import ScheduleFactory

    class ModuleOptions(TypedDict, total=False):
        """Options of `PredictiveModule`."""

        spec: Any
        stem: StemFactory
        backbone: BackboneFactory
        head: HeadFactory
        losses: dict[str, LossFactory]
        optimizer: OptimizerCallable
        schedule: ScheduleFactory
        execution: Execution
        initialization: Initialization | None
        decay_embeddings: bool
        adaptation: Adaptation | None

    class LanguageOptions(ModuleOptions, total=False):
        """Options of `LanguageModel` but for `sampling`, of which modules have their own."""

        tied: bool
