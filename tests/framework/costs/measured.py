"""What a real step holds, by hooks of its own."""

from lightning.pytorch import Callback
from torch.autograd.graph import saved_tensors_hooks


def local(tensor):
    """The part of a tensor that this process holds."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def nbytes(tensors):
    return sum(local(tensor).numel() * tensor.element_size() for tensor in tensors)


class HeldStates(Callback):
    """Bytes of states behind a step."""

    def on_train_batch_end(self, trainer, pl_module, *_):
        states = trainer.optimizers[0].state.values()
        moments = (value for state in states for value in state.values())
        self.parameters = nbytes(pl_module.parameters())
        self.gradients = nbytes(p.grad for p in pl_module.parameters() if p.grad is not None)
        self.optimizer = nbytes(value for value in moments if hasattr(value, "shape"))


class Held(HeldStates):
    """Bytes of activations, too, until the backward pass begins."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        tensors = (*pl_module.parameters(), *pl_module.buffers())
        own = {local(tensor).untyped_storage().data_ptr() for tensor in tensors}
        self.storages = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                self.storages[storage.data_ptr()] = storage
            return tensor

        self.hooks = saved_tensors_hooks(pack, lambda tensor: tensor)
        self.hooks.__enter__()

    def on_before_backward(self, trainer, pl_module, loss):
        self.hooks.__exit__(None, None, None)
        self.activations = sum(storage.nbytes() for storage in self.storages.values())
        self.storages = {}
