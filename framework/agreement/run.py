"""Lets the processes of a run agree before they are connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ParallelStrategy
from torch._C._distributed_c10d import Store

from framework.agreement.address import Address, Deadline
from framework.agreement.facts import differences, facts_of
from framework.agreement.meeting import Meeting

_stores: WeakKeyDictionary[ParallelStrategy, Store] = WeakKeyDictionary()
"""The store of each strategy: it must live until torch has connected the processes."""


def require_agreement(trainer: Trainer, model: Mapping[str, Any]) -> None:
    """Checks that all processes of a run are there and are about to do the same.

    It is called when processes exist but are not connected. A single process has nothing to do.

    Args:
        trainer: The trainer, its data attached.
        model: Description of the model.

    Raises:
        ValueError: In all processes, if they differ or one is missing, or in one, if it does not
            reach the first one in time.
    """
    strategy = trainer.strategy
    if not isinstance(strategy, ParallelStrategy) or strategy.cluster_environment is None:
        return
    if hasattr(strategy, "set_world_ranks"):
        strategy.set_world_ranks()  # of processes that Lightning has forked
    if strategy.world_size == 1:
        return
    environment = strategy.cluster_environment
    try:
        address = Address(environment.main_address, environment.main_port)
    except ValueError as error:  # of int()
        raise ValueError(f"MASTER_PORT is no number ({error}); use one such as 29500.") from error
    meeting = Meeting(address, strategy.global_rank, strategy.world_size)
    facts = facts_of(trainer, model, strategy.world_size)
    deadline = Deadline.stated()  # when data are prepared
    if strategy not in _stores:
        _stores[strategy] = meeting.store(deadline)
    meeting.compare(_stores[strategy], facts, differences, deadline)
