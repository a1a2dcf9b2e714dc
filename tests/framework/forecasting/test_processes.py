"""Pieces of work are spread over processes, in order, and what ends one of them is said."""

import os
import signal

import pytest
import torch

from framework.forecasting.processes import side_by_side

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_processes_return_what_one_returns(two_threads):
    """From a closure, of one thread each, in the order of the pieces."""
    weight = torch.arange(6.0)

    def work(piece):
        generator = torch.Generator().manual_seed(piece)
        return os.getpid(), torch.get_num_threads(), (weight * torch.rand(6, generator=generator))

    found = list(side_by_side(work, range(0, 50, 10), CPU))
    assert os.getpid() not in {process for process, _, _ in found}
    assert {threads for _, threads, _ in found} == {1}
    torch.set_num_threads(1)
    alone = list(side_by_side(work, range(0, 50, 10), CPU))
    assert {process for process, _, _ in alone} == {os.getpid()}
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one[2], other[2], rtol=0, atol=0)


def test_one_piece_needs_no_process(two_threads):
    assert list(side_by_side(lambda _: os.getpid(), [0], CPU)) == [os.getpid()]


def test_errors_arrive(two_threads):
    def work(piece):
        raise ValueError(f"piece {piece} is wrong.")

    with pytest.raises(ValueError, match="piece 7 is wrong"):
        list(side_by_side(work, [7, 8], CPU))


def test_a_process_that_is_ended_is_one_sentence(two_threads):
    def work(piece):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ValueError, match="ended from outside, .* OMP_NUM_THREADS=1"):
        list(side_by_side(work, [0, 1], CPU))
