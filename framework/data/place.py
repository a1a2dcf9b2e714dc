"""Which part of the data a process reads."""

from __future__ import annotations

from lightning.pytorch import Trainer


def place_of(trainer: Trainer) -> tuple[int, int]:
    """Returns the number of this process, and of all, among those that read different data.

    Args:
        trainer: The trainer, whose strategy decides it: processes that divide the layers of a
            model among them read the same.
    """
    share = trainer.distributed_sampler_kwargs or {"rank": 0, "num_replicas": 1}
    return share["rank"], share["num_replicas"]
