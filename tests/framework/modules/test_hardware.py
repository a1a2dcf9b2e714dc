"""A processor without bfloat16 products is named before a run that needs them."""

import warnings

import pytest
import torch

from framework.modules.hardware import warn_of_slow_bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize("able", [{}, {"amx_bf16": False, "avx512_bf16": False}])
def test_bfloat16_without_products_is_one_sentence(monkeypatch, able):
    found = {"architecture": "x86_64", **able}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    with pytest.warns(UserWarning, match=r"no bfloat16 products.*bf16-mixed.*32-true"):
        warn_of_slow_bfloat16("bf16-mixed", CPU)


@pytest.mark.parametrize(
    ("able", "precision", "device"),
    [
        ({"architecture": "x86_64", "amx_bf16": True}, "bf16-mixed", "cpu"),
        ({"architecture": "x86_64", "avx512_bf16": True}, "bf16-true", "cpu"),
        ({"architecture": "aarch64"}, "bf16-mixed", "cpu"),
        ({"architecture": "x86_64"}, "32-true", "cpu"),
        ({"architecture": "x86_64"}, "bf16-mixed", "meta"),
    ],
)
def test_nothing_else_is_warned_of(monkeypatch, able, precision, device):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_slow_bfloat16(precision, torch.device(device))
