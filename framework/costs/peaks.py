"""The most operations a second that a device can do: published for GPUs, measured on CPUs."""

from __future__ import annotations

from time import perf_counter

import torch

PUBLISHED = {  # dense bfloat16 with sums in float32, TFLOP/s, from the data sheets of the makers
    "A100": 312.0,
    "A10G": 70.0,
    "A10": 125.0,
    "A30": 165.0,
    "A40": 149.7,
    "B200": 2250.0,
    "GH200": 989.4,
    "H100 80GB HBM3": 989.4,
    "H100 NVL": 835.5,
    "H100 PCIe": 756.0,
    "H200": 989.4,
    "L40S": 362.0,
    "L4": 121.0,
    "MI250X": 383.0,
    "MI300X": 1307.4,
    "RTX 3090": 71.0,
    "RTX 4090": 165.2,
    "RTX A6000": 154.8,
}
TERA = 1e12
SIDE, TIMES = 1024, 5  # of the products that are measured


def published(name: str) -> float | None:
    """Returns the peak of a GPU in TFLOP/s, None if it is not in the table.

    Args:
        name: As `torch.cuda.get_device_name` returns it.

    Example:
        >>> published("NVIDIA A100-SXM4-80GB"), published("NVIDIA L40S"), published("Voodoo 2")
        (312.0, 362.0, None)
    """
    known = [part for part in PUBLISHED if part in name]
    return PUBLISHED[max(known, key=len)] if known else None


def peak_of(device: torch.device, dtype: torch.dtype) -> tuple[float | None, str]:
    """Returns the peak of a device in TFLOP/s, None if it is not known, and where it is from.

    Args:
        device: The device of a process.
        dtype: Type in which a CPU is measured; the table of GPUs holds bfloat16 only.
    """
    if device.type == "cpu":
        return measured(dtype), f"{torch.get_num_threads()} CPU threads, as measured by a product"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return published(name), f"{name}, as published for dense bfloat16"


def measured(dtype: torch.dtype) -> float:
    """Returns the TFLOP/s of the best of some products of matrices on the CPU."""
    left, right = (torch.ones(SIDE, SIDE, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(TIMES):
        start = perf_counter()
        left @ right
        seconds.append(perf_counter() - start)
    return 2 * SIDE**3 / min(seconds) / TERA
