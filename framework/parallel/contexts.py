"""Context parallelism: exchanges keys, values and states of positions between processes."""

from __future__ import annotations

from torch import Tensor
from torch.distributed._functional_collectives import all_gather_single_autograd
from torch.distributed.device_mesh import DeviceMesh


class MeshExchange:
    """Exchanges tensors between the processes of a mesh with one axis.

    Args:
        mesh: The processes that share sequences.
    """

    def __init__(self, mesh: DeviceMesh) -> None:
        self.rank, self.processes, self.group = (
            mesh.get_local_rank(),
            mesh.size(),
            mesh.get_group(),
        )

    def gather(self, own: Tensor) -> Tensor:
        """Gathers tensors of one shape, `[processes, *shape]`; gradients are summed back."""
        gathered: Tensor = all_gather_single_autograd(own.contiguous()[None], 0, self.group)
        return gathered
