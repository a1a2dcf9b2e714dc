"""Parallel strategies that the options of Lightning's trainer cannot express."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from lightning.fabric.strategies import model_parallel
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.device_mesh import init_device_mesh

from framework.checkpoint_files import complete_folder, remove, temporary_of
from framework.checkpoints import (
    DamagedCheckpoint,
    compare,
    damage_of,
    not_a_number,
    parameters,
    require_intact,
)
from framework.checksums import checksums, is_intact
from framework.execution import Sharding, own_shares
from framework.replacing import replaced
from framework.shards import load_shards

AXES = ("replicas", "shards", "tensors")
SEQUENCE_AXES = ("data", "contexts", "tensors")
REDISTRIBUTION = logging.getLogger("torch.distributed.tensor._redistribute")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TIMEOUT = timedelta(minutes=30)  # as that of DDPStrategy


class FullyShardedStrategy(ModelParallelStrategy):
    """Shards parameters, gradients and optimizer states over all processes (FSDP2).

    Lightning's own strategy divides the processes of a node among *tensors*, unless it is told how
    many there are; here all of them divide the data, unless options say otherwise. Modules divide
    and shard themselves when they are built.

    Args:
        save_distributed_checkpoint: Write a folder with one file per process instead of one file.
            Needed where one process cannot hold the model; `overtone consolidate` makes one file
            of it.
        process_group_backend: Backend of `torch.distributed`, by default that of the device.
        replicas: Groups of processes that each hold a whole model in shards (HSDP), of neighbors
            in rank. With one for each node, parameters are gathered inside of nodes only.
        tensor_parallel_size: Neighbors in rank that divide each layer of a `Decoder` among them
            (tensor parallelism), and read the same data; a divisor of its heads.
        context_parallel_size: Neighbors in rank that divide the positions of each sequence in the
            blocks of a `Decoder` (context parallelism), and read the same data; windows are a
            multiple of twice as many positions. Parameters are sharded over them, too.
        gathered: Type in which blocks and head are gathered for bf16-mixed precision; null for
            that in which parameters are kept. With bfloat16 half as much is sent, and biases,
            gains of norms and phases are rounded, too.
        reduced: Type in which gradients are summed over processes; null for that in which
            parameters are kept.
        offload: Keep parameters, gradients and optimizer states in the memory of the host. Tested
            without GPUs only.
        timeout: How long a process waits for the others before it takes them for hung, as in
            0:05:00.

    Raises:
        ValueError: If the number of processes is not divisible, or precisions do not go together.
    """

    def __init__(
        self,
        save_distributed_checkpoint: bool = False,
        process_group_backend: Literal["nccl", "gloo"] | None = None,
        replicas: int = 1,
        tensor_parallel_size: int = 1,
        context_parallel_size: int = 1,
        gathered: Literal["bfloat16"] | None = None,
        reduced: Literal["bfloat16", "float32"] | None = None,
        offload: bool = False,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        sizes = {
            "replicas": replicas,
            "tensor_parallel_size": tensor_parallel_size,
            "context_parallel_size": context_parallel_size,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"FullyShardedStrategy: {name}={size} is too small; use 1.")
        super().__init__(
            tensor_parallel_size=tensor_parallel_size * context_parallel_size,
            save_distributed_checkpoint=save_distributed_checkpoint,
            process_group_backend=process_group_backend,
            timeout=timeout,
        )
        self.replicas, self.offload = replicas, offload
        self.tensors, self.contexts = tensor_parallel_size, context_parallel_size
        self.gathered, self.reduced = gathered, reduced

    def setup_environment(self) -> None:
        """Divides the processes among the axes of a mesh.

        Raises:
            ValueError: If that cannot be done.
        """
        if self.gathered and self.precision_plugin.precision != "bf16-mixed":
            raise ValueError(
                f"FullyShardedStrategy: gathered={self.gathered}, but the model computes in "
                f"{self.precision_plugin.precision}; add --config precision/bf16."
            )
        processes = self.num_nodes * self.num_processes
        self.require_divisible(processes)
        self._data_parallel_size = processes // self._alike
        super().setup_environment()
        module: Any = self.lightning_module
        module.sharding = self._sharding()

    def require_divisible(self, processes: int) -> None:
        """Checks that processes can be divided as options say.

        Raises:
            ValueError: If not.
        """
        least = self.replicas * self._alike
        if processes % least:
            raise ValueError(
                f"FullyShardedStrategy: {processes} processes cannot be divided among "
                f"replicas={self.replicas}, tensor_parallel_size={self.tensors} and "
                f"context_parallel_size={self.contexts}; use a multiple of {least} processes."
            )

    @property
    def _alike(self) -> int:
        """How many processes read the same data; Lightning knows one axis for them."""
        return self.tensors * self.contexts

    def _sharding(self) -> Sharding:
        """Makes a mesh with an axis for each kind of parallelism; collective."""
        kind, size = self.root_device.type, self.world_size
        shape = (self.replicas, size // self.replicas // self.tensors, self.tensors)
        mesh, contexts = init_device_mesh(kind, shape, mesh_dim_names=AXES), None
        if self.contexts > 1:  # neighbors on the axis of shards
            shape = (size // self._alike, self.contexts, self.tensors)
            contexts = init_device_mesh(kind, shape, mesh_dim_names=SEQUENCE_AXES)["contexts"]
        if self.tensors > 1:
            # The norm of all gradients is then one sum, the same to the bit in each process.
            mesh["shards", "tensors"]._flatten()
            REDISTRIBUTION.setLevel(logging.ERROR)  # gathering takes two steps, which it warns of
        reduced = self.reduced or (self.gathered and "float32")
        return Sharding(
            mesh["replicas", "shards"] if self.replicas > 1 else mesh["shards"],
            self.device_mesh["data_parallel"].get_group() if self._alike > 1 else None,
            mesh["tensors"] if self.tensors > 1 else None,
            contexts,
            self.gathered and DTYPES[self.gathered],
            reduced and DTYPES[reduced],
            self.offload,
        )

    def model_to_device(self) -> None:
        """Moves the model to the device; of one that is offloaded, only what is not sharded."""
        if not self.offload:
            super().model_to_device()
            return
        assert self.model is not None
        for module in self.model.modules():
            for name, buffer in module.named_buffers(recurse=False):
                module._buffers[name] = buffer.to(self.root_device)

    def _get_process_group_backend(self) -> str:
        """Lets processes also exchange what is in the memory of the host, if parameters are."""
        backend = super()._get_process_group_backend()
        return "cpu:gloo,cuda:nccl" if self.offload and backend == "nccl" else backend

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
            ValueError: If it is damaged, of another architecture, or has parameters that are NaN.
        """
        path, module = Path(self.broadcast(checkpoint_path)), self.lightning_module
        self._require_intact(path)
        # Lightning ends in a KeyError, and overlooks what the model lacks in a folder of shards.
        if module is None or not module.strict_loading:
            return self._load(path, weights_only)
        compare(type(module).__name__, module.state_dict(), parameters(path))
        module.strict_loading = False  # it would miss frozen parameters, which no file holds
        try:
            return self._load(path, weights_only)
        finally:
            module.strict_loading = True

    def _load(self, path: Path, weights_only: bool | None) -> dict[str, Any]:
        """Loads as Lightning does, but runs no code of a folder of shards, and takes no NaN."""
        with replaced((model_parallel, "_distributed_checkpoint_load", load_shards)):
            loaded = super().load_checkpoint(path, weights_only)
        self._require_no_nan()
        return loaded

    def _require_intact(self, path: Path) -> None:
        """Refuses a damaged checkpoint; each process reads its part of the files of a folder."""
        if not path.is_dir():
            require_intact(path)
            return
        part = slice(self.global_rank, None, self.world_size)
        intact: list[Any] = [None] * self.world_size
        dist.all_gather_object(intact, is_intact(path, part))
        if not all(intact):
            said = damage_of(path) if self.is_global_zero else ""
            raise DamagedCheckpoint(self.broadcast(said))

    def _require_no_nan(self) -> None:
        """Refuses parameters of which any process has a share that is NaN, on all of them."""
        module = self.lightning_module
        own = [
            name
            for name, share in (own_shares(module) if module is not None else ())
            if share.isnan().any()
        ]
        wrong: list[Any] = [None] * self.world_size
        dist.all_gather_object(wrong, own)
        if name := next(chain.from_iterable(wrong), ""):
            raise not_a_number(type(module).__name__, "some", name)


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
