"""Parallel strategies that the options of Lightning's trainer cannot express."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lightning.fabric.strategies import model_parallel
from lightning.pytorch.strategies import ModelParallelStrategy

from framework.checkpoints import compare, parameters
from framework.replacing import replaced
from framework.shards import load_shards


class FullyShardedStrategy(ModelParallelStrategy):
    """Shards parameters, gradients and optimizer states over all processes (FSDP2).

    Lightning's own strategy divides the processes of a node among *tensors*, unless it is told how
    many there are; here all of them divide the data. Modules shard themselves when they are built.

    Args:
        save_distributed_checkpoint: Write a folder with one file per process instead of one file.
            Needed where one process cannot hold the model; a folder is read by this strategy only,
            a file by all.
        process_group_backend: Backend of `torch.distributed`, by default that of the device.
    """

    def __init__(
        self,
        save_distributed_checkpoint: bool = False,
        process_group_backend: Literal["nccl", "gloo"] | None = None,
    ) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=save_distributed_checkpoint,
            process_group_backend=process_group_backend,
        )

    def setup_environment(self) -> None:
        """Counts the processes, before the mesh of devices is made."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Loads parameters and returns the rest of a checkpoint, on all processes.

        Raises:
            ValueError: If it is of another architecture.
        """
        # Lightning ends in a KeyError, and overlooks what the model lacks in a folder of shards.
        path, module = Path(self.broadcast(checkpoint_path)), self.lightning_module
        if module is None or not module.strict_loading:
            return self._load(path, weights_only)
        compare(type(module).__name__, module.state_dict(), parameters(path))
        module.strict_loading = False  # it would miss frozen parameters, which no file holds
        try:
            return self._load(path, weights_only)
        finally:
            module.strict_loading = True

    def _load(self, path: Path, weights_only: bool | None) -> dict[str, Any]:
        """Loads as Lightning does, but runs no code that is in a folder of shards."""
        with replaced((model_parallel, "_distributed_checkpoint_load", load_shards)):
            return super().load_checkpoint(path, weights_only)
