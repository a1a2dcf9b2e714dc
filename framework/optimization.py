"""Parameter groups, optimizer states by parameter name, and options after a state was loaded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from typing import Any

from torch import nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils._foreach_utils import _get_fused_kernels_supported_devices

FLATTENED = "_fsdp_wrapped_module."  # what FSDP1 puts into names; it also flattens the parameters


def matrices(module: nn.Module, embeddings: bool = True) -> frozenset[str]:
    """Returns the names of parameters with at least two axes; call it before sharding.

    Args:
        module: The module to be trained.
        embeddings: Whether to include embedding matrices, also those that a read-out shares.
    """
    tables = (part for part in module.modules() if isinstance(part, nn.Embedding))
    left_out = set() if embeddings else {id(table.weight) for table in tables}
    return frozenset(
        name for name, p in module.named_parameters() if p.ndim >= 2 and id(p) not in left_out
    )


def groups(module: nn.Module, decayed: Set[str]) -> list[dict[str, Any]]:
    """Divides the trainable parameters into those with weight decay and those without.

    Args:
        module: The module to be trained.
        decayed: Names of the parameters that decay, as `matrices` returns them.

    Returns:
        One or two parameter groups; the second sets `weight_decay` to 0.
    """
    parameters = {name.replace(FLATTENED, ""): p for name, p in module.named_parameters()}
    decay, rest = ([parameters[name] for name in names] for names in _split(module, decayed))
    options: list[dict[str, Any]] = [{"params": decay}, {"params": rest, "weight_decay": 0.0}]
    return [group for group in options if group["params"]]


def numbering(module: nn.Module, decayed: Set[str]) -> list[str]:
    """Returns the names of the parameters in the order in which the optimizer numbers them."""
    decay, rest = _split(module, decayed)
    return decay + rest


def by_name(state: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Replaces the numbers of parameters in the state of an optimizer by names.

    Numbers depend on the parameter groups, and Lightning takes them for the order in the model
    when a run resumes with sharded parameters.

    Args:
        state: State dict of an optimizer; names in it stay as they are.
        names: The name of each number.
    """
    return _rekey(state, lambda key: names[key] if isinstance(key, int) else key)


def by_number(state: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Undoes `by_name`."""
    numbers = {name: number for number, name in enumerate(names)}
    return _rekey(state, lambda key: numbers.get(key, key))


def fuse(optimizer: Optimizer) -> None:
    """Lets Adam and AdamW update all parameters in one kernel, where the device has one.

    A choice of the recipe (`fused`, `foreach` or `differentiable`) stays. Numbers differ by
    rounding.

    Args:
        optimizer: Any optimizer, before its first step; others than these stay as they are.
    """
    devices = _get_fused_kernels_supported_devices()
    for group in optimizer.param_groups if isinstance(optimizer, Adam) else ():
        chosen = group["fused"] is not None or group["foreach"] is not None
        able = all(p.device.type in devices and p.is_floating_point() for p in group["params"])
        if able and not chosen and not group["differentiable"]:
            group["fused"] = True


def own_options(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Returns the options of each parameter group; call it before a schedule changes the rates."""
    return [
        {name: value for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]


def reapply(
    optimizer: Optimizer, schedule: LRScheduler, options: Sequence[Mapping[str, Any]]
) -> None:
    """Restores the options of a run after the state of another was loaded; moments are kept.

    Learning rates are those of the schedule at the step that was loaded: exactly for factors of
    the base rate (`LambdaLR`), in proportion to the base rates for others.

    Args:
        optimizer: The optimizer, with the state that was loaded.
        schedule: Its schedule, with the step that was loaded.
        options: What `own_options` returned.
    """
    rates = [own["lr"] for own in options]
    for group, own, rate in zip(optimizer.param_groups, options, rates, strict=True):
        before, now = group.get("initial_lr", rate), group["lr"]
        scaled = now if rate == before else rate * (now / before if before else 1.0)
        group.update({**own, "lr": scaled, "initial_lr": rate})
        for parameter in group["params"] if group.get("fused") else ():
            count = optimizer.state[parameter].get("step")  # on the host, if it was not fused
            if count is not None:
                optimizer.state[parameter]["step"] = count.to(parameter.device)
    schedule.base_lrs = rates
    if isinstance(schedule, LambdaLR):
        step = schedule.last_epoch
        for group, factor in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(step)
    schedule._last_lr = [group["lr"] for group in optimizer.param_groups]


def _rekey(state: Mapping[str, Any], rename: Callable[[Any], Hashable]) -> dict[str, Any]:
    if "state" not in state:  # of a process that does not write
        return dict(state)
    return {
        **state,
        "state": {rename(key): value for key, value in state["state"].items()},
        "param_groups": [
            {**group, "params": [rename(key) for key in group["params"]]}
            for group in state["param_groups"]
        ],
    }


def _split(module: nn.Module, decayed: Set[str]) -> tuple[list[str], list[str]]:
    trained = [n.replace(FLATTENED, "") for n, p in module.named_parameters() if p.requires_grad]
    return [n for n in trained if n in decayed], [n for n in trained if n not in decayed]
