"""Tensor operations that distributions share: precision, constants, and lookups in tables.

A table has one row per distribution. It is read at indices or values that may have further axes in
front, those of samples.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from reprlib import repr as shortened

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor  # has no public name
from torch._subclasses.fake_tensor import is_fake  # has no public name


def to_float32(values: Tensor) -> Tensor:
    """Casts half and bfloat16 to float32; float32 and float64 stay as they are.

    Rare outcomes and normalizers over thousands of cells do not survive eight bits of mantissa.

    Args:
        values: Parameters of a distribution, of any floating dtype.

    Returns:
        The same values in float32 or float64.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def tiny(values: Tensor) -> float:
    """Returns the smallest normal number of a dtype: the least that a logarithm may see."""
    return torch.finfo(values.dtype).tiny


def without_autocast(values: Tensor) -> AbstractContextManager[object]:
    """Makes a context in which autocast does not round matrix products of such values."""
    device = values.device.type
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # made in a validation step, it must serve training as well
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns fixed numbers, levels or edges, as a tensor that is made once.

    It is shared: do not write to it.

    Args:
        values: Plain numbers.
        dtype: Data type of the tensor.
        device: Device of the tensor; later calls copy nothing there.
    """
    return torch.tensor(values, dtype=dtype, device=device)


def joint_shape(*tensors: Tensor | torch.Size) -> torch.Size:
    """Returns the shape that tensors, or shapes, broadcast to."""
    shapes = (t.shape if isinstance(t, Tensor) else t for t in tensors)
    return torch.Size(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call] # torch's


def gather(table: Tensor, index: Tensor) -> Tensor:
    """Takes one entry of each row, without copying rows.

    Args:
        table: Rows `[*batch, K]`.
        index: Indices, int64, of a shape that broadcasts with `batch`.

    Returns:
        The entries, of the shape that both broadcast to.
    """
    shape = joint_shape(index, table.shape[:-1])
    return table.expand(*shape, -1).gather(-1, index.expand(shape).unsqueeze(-1)).squeeze(-1)


def searchsorted(table: Tensor, value: Tensor) -> Tensor:
    """Counts the entries of each row that are smaller than a value, by bisection.

    Args:
        table: Rows `[*batch, K]`, not decreasing.
        value: Values to look up, of a shape that broadcasts with `batch` to `[*samples, *batch]`.

    Returns:
        Counts 0 .. K, int64 `[*samples, *batch]`.
    """
    shape = joint_shape(value, table.shape[:-1])
    if not shape.numel():
        return torch.zeros(shape, dtype=torch.int64, device=table.device)
    # torch's wants the rows of both sides aligned and the queries of a row last
    rows = table.detach().reshape(-1, table.shape[-1]).contiguous()
    queries = value.detach().to(rows.dtype).expand(shape).reshape(-1, rows.shape[0]).T
    return torch.searchsorted(rows, queries.contiguous()).T.reshape(shape)


def choose(sums: Tensor, uniform: Tensor) -> Tensor:
    """Chooses outcomes by their weights, by bisection; never one of weight 0.

    Args:
        sums: Weights summed along the outcomes, `[..., K]`.
        uniform: Randomness of each choice, in [0, 1), of the dtype of the sums, `[..., D]`.

    Returns:
        Outcomes, int64 `[..., D]`; the last one where weights are NaN.
    """
    total = sums[..., -1:]
    below = (total * uniform).minimum(total.nextafter(torch.zeros_like(total)))
    return torch.searchsorted(sums, below, right=True).clamp(max=sums.shape[-1] - 1)


def require_numbers(totals: Tensor) -> None:
    """Refuses to draw outcomes by weights whose sums `[...]` are NaN.

    Raises:
        ValueError: On a CPU; other devices, compiled code and vmap do not wait for the answer.
    """
    if _can_be_read(totals) and totals.isnan().any():
        raise ValueError(
            "There are no probabilities to draw an outcome by: they are NaN, as what a model "
            "predicts from NaN, or after its training diverged."
        )


def entropies(log_probs: Tensor) -> Tensor:
    """Computes -p log p of log-probabilities `[...]`, in nats; 0 with a gradient of 0 at p = 0.

    `torch.special.entr` has an infinite gradient there, of which a chain rule makes NaN.
    """
    finite = log_probs.clamp_min(torch.finfo(log_probs.dtype).min)
    return -log_probs.exp() * finite


def require_positive(values: Tensor, option: str) -> None:
    """Refuses parameters `[...]` that are 0 or negative; NaN passes.

    Args:
        values: Scales, or other parameters that are positive.
        option: Owner and name of the parameter, for the message.

    Raises:
        ValueError: On a CPU; other devices, compiled code and vmap do not wait for the answer.
    """
    if _can_be_read(values) and (values <= 0).any():
        raise ValueError(f"{option}={values.min().item()} is not positive; give positive ones.")


def require_increasing(
    values: Tensor, option: str, low: float = -torch.inf, high: float = torch.inf
) -> None:
    """Refuses numbers `[K]` that do not increase from one to the next, or are NaN.

    Args:
        values: Levels or edges.
        option: Owner and name of the parameter, for the message.
        low: What all are greater than.
        high: What all are less than.

    Raises:
        ValueError: On a CPU; other devices, compiled code and vmap do not wait for the answer.
    """
    if not _can_be_read(values):
        return
    rising = bool((values.diff() > 0).all())
    if not (rising and low < values[0].item() and values[-1].item() < high):
        raise ValueError(
            f"{option}={shortened(values.tolist())} must increase between {low} and {high}."
        )


def require_levels(level: Tensor, owner: str) -> None:
    """Refuses levels `[...]` of quantiles that are NaN.

    Args:
        level: Probabilities, of any shape.
        owner: Name of the distribution, for the message.

    Raises:
        ValueError: On a CPU; other devices, compiled code and vmap do not wait for the answer.
    """
    if _can_be_read(level) and level.isnan().any():
        raise ValueError(f"{owner}: a level is NaN, where no quantile is; give 0 to 1.")


def bucketize(value: Tensor, edges: Tensor) -> Tensor:
    """Finds the cell of each value, from its left edge on and up to its right one.

    Args:
        value: Values, `[...]`.
        edges: Borders of the cells, increasing, `[K + 1]`.

    Returns:
        Cells 0 .. K - 1, int64 `[...]`; an end cell for values beyond the edges.
    """
    dtype = torch.promote_types(value.dtype, edges.dtype)
    return torch.bucketize(value.to(dtype).contiguous(), edges[1:-1].to(dtype), right=True)


def unless_nan(value: Tensor, result: Tensor) -> Tensor:
    """Returns results of values, and NaN where a value is NaN: bisection puts it in a cell.

    Args:
        value: Values, of a shape that broadcasts with that of the results.
        result: What was computed of them.
    """
    return torch.where(value.isnan(), torch.nan, result)


def within(value: Tensor, size: int, owner: str) -> tuple[Tensor, Tensor | None]:
    """Converts outcomes to indices, of which wrong ones are refused, or marked.

    On a CPU a wrong outcome is an error, for two reductions of the outcomes, and one more where
    they are no integers by dtype, as only whole numbers are outcomes. On other devices that
    would wait for all that is queued there, and an index beyond a table would end the process; nor
    can compiled code and vmap do it. There the index of a wrong outcome is one that there is, and
    the mask says whose results mean nothing.

    Args:
        value: Outcomes, of any dtype and shape.
        size: Number of outcomes that are possible, 0 .. size - 1.
        owner: Name of the distribution, for the message.

    Returns:
        Indices, int64, and which of the outcomes are possible; None if all are.

    Raises:
        ValueError: On a CPU, if an outcome is not possible.
    """
    index = value.long()
    checked = value if value.is_floating_point() else index  # of NaN there is no index
    if not _is_at_hand(value):
        inside = _is_possible(checked, size)
        return index.clamp(0, size - 1), inside
    if checked.numel() and not is_fake(checked):  # a shape alone has no wrong outcome
        low, high = checked.aminmax()
        whole = checked is index or torch.equal(checked, checked.floor())
        if not (whole and low >= 0 and high < size):
            raise _impossible(checked, size, owner)
    return index, None


def _is_at_hand(value: Tensor) -> bool:
    """Whether numbers can be read at once: not on a GPU, in compiled code or under vmap."""
    traced = torch.compiler.is_compiling() or is_functorch_wrapped_tensor(value)
    return value.device.type == "cpu" and not traced


def _can_be_read(value: Tensor) -> bool:
    """Whether numbers can be read at once, and there are some: not those of a shape alone."""
    return _is_at_hand(value) and not is_fake(value)


def _is_possible(value: Tensor, size: int) -> Tensor:
    """Whether outcomes are among 0 .. size - 1, as booleans; numbers between these are not."""
    inside = (value >= 0) & (value < size)
    return inside & (value == value.floor()) if value.is_floating_point() else inside


def _impossible(value: Tensor, size: int, owner: str) -> ValueError:
    first = (~_is_possible(value, size)).nonzero()[0].tolist()
    at = f" at {first}" if first else ""
    return ValueError(
        f"{owner}: the outcome {value[tuple(first)].item()}{at} is none of its {size}, which are "
        f"0 to {size - 1}; correct the data, and where nothing is to be predicted give any of "
        "them weight 0."
    )
