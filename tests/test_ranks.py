"""The fixture itself: ranks join one group, return in order, and fail loudly."""

import os
import time

import pytest
import torch

from tests.ranks import run_ranks


def test_ranks_talk_to_each_other():
    def add(offset: int) -> dict[str, object]:
        torch.distributed.init_process_group("gloo")
        rank = torch.distributed.get_rank()
        total = torch.tensor([float(rank + offset)])
        torch.distributed.all_reduce(total)
        torch.distributed.destroy_process_group()
        return {"rank": rank, "total": [total]}

    results = run_ranks(add, 3, 10)
    assert [result["rank"] for result in results] == [0, 1, 2]
    assert all(result["total"][0].item() == 33.0 for result in results)
    assert "RANK" not in os.environ


def test_an_error_on_a_rank_is_raised_with_its_traceback():
    def fail() -> None:
        if os.environ["RANK"] == "1":
            raise KeyError("what went wrong")
        time.sleep(30)

    with pytest.raises(RuntimeError, match=r"(?s)rank 1 failed:.*KeyError: 'what went wrong'"):
        run_ranks(fail, 2)


def test_ranks_that_crash_or_hang_are_named():
    def crash() -> None:
        if os.environ["RANK"] == "1":
            os._exit(3)
        time.sleep(30)

    with pytest.raises(RuntimeError, match=r"ranks \[1\] crashed"):
        run_ranks(crash, 2)
    with pytest.raises(TimeoutError, match=r"ranks \[0\] did not return in 0.5 s"):
        run_ranks(time.sleep, 1, 30, timeout=0.5)
