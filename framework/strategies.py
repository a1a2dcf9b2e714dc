"""Parallel strategies that the options of Lightning's trainer cannot express."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch.distributed as dist
from lightning.fabric.strategies import model_parallel
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint.api import CheckpointException

from framework.checkpoint_files import complete_folder, remove, temporary_of
from framework.checkpoints import compare, parameters, require_intact
from framework.checksums import checksums
from framework.replacing import replaced
from framework.shards import load_shards

TIMEOUT = timedelta(minutes=30)  # as that of DDPStrategy


class FullyShardedStrategy(ModelParallelStrategy):
    """Shards parameters, gradients and optimizer states over all processes (FSDP2).

    Lightning's own strategy divides the processes of a node among *tensors*, unless it is told how
    many there are; here all of them divide the data. Modules shard themselves when they are built.

    Args:
        save_distributed_checkpoint: Write a folder with one file per process instead of one file.
            Needed where one process cannot hold the model; a folder is read by this strategy only,
            a file by all.
        process_group_backend: Backend of `torch.distributed`, by default that of the device.
        timeout: How long a process waits for the others before it takes them for hung, as in
            0:05:00.
    """

    def __init__(
        self,
        save_distributed_checkpoint: bool = False,
        process_group_backend: Literal["nccl", "gloo"] | None = None,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=save_distributed_checkpoint,
            process_group_backend=process_group_backend,
            timeout=timeout,
        )

    def setup_environment(self) -> None:
        """Counts the processes, before the mesh of devices is made."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any = None
    ) -> None:
        """Writes one file, or a folder of shards that gets its name when it is complete.

        Raises:
            OSError: On all processes, if one could not write.
        """
        if not self._save_distributed_checkpoint:
            super().save_checkpoint(checkpoint, filepath, storage_options)
            return
        path = Path(self.broadcast(filepath))
        temporary = temporary_of(path)
        if self.is_global_zero:
            remove(temporary)
        self.barrier()
        written: list[Any] = [None] * self.world_size
        dist.all_gather_object(written, self._write_shards(checkpoint, temporary, storage_options))
        failure = next((reason for _, reason in written if reason), "")
        if self.is_global_zero and not failure:
            try:
                complete_folder(temporary, dict(ChainMap(*(sums for sums, _ in written))), path)
            except OSError as error:
                failure = _reason(error)
        if failure := self.broadcast(failure):
            if self.is_global_zero:
                remove(temporary)
            raise OSError(failure)

    def _write_shards(
        self, checkpoint: dict[str, Any], folder: Path, storage_options: Any
    ) -> tuple[dict[str, str], str]:
        """Writes what this process holds; returns the checksums, and what prevented it if any."""
        try:
            super().save_checkpoint(checkpoint, folder, storage_options)
            return checksums(_files_of(folder, self.global_rank)), ""
        except (OSError, RuntimeError, CheckpointException) as error:
            return {}, _reason(error)

    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Loads parameters and returns the rest of a checkpoint, on all processes.

        Raises:
            ValueError: If it is damaged, or of another architecture.
        """
        require_intact(self.broadcast(checkpoint_path))
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


def _files_of(folder: Path, rank: int) -> Iterator[Path]:
    """Yields the files that a process wrote: its shards, and for the first one also the lists."""
    for path in folder.iterdir():
        owner, shard = path.name[2:].partition("_")[::2]
        if (owner == str(rank)) if shard else rank == 0:
            yield path


def _reason(error: BaseException) -> str:
    """Returns why something was not written, without the traces of all processes."""
    if isinstance(error, CheckpointException):
        error = next(cause for cause, _ in error.failures.values())
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
