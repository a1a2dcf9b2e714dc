"""Losses by position against a loop over examples, and their gaps against the standard error."""

import numpy as np
import pytest
import torch

from framework.analysis import Sample
from framework.papers.myopic import measure_positions
from framework.papers.myopic.positions import PositionSums
from tests.framework.papers.myopic.models import Windows, model
from tests.ranks import run_ranks


def measured():
    losses, weight = measure_positions([model(0), model(1)], Sample(Windows(23), 20, 3))
    return [*losses, weight]


def test_means_are_those_of_a_loop():
    batch = Windows(23).__getitems__(list(range(20)))
    losses, weight = measure_positions([model(0), model(1)], Sample(Windows(23), 20, 3))
    logs = []
    for seed in (0, 1):
        logits = model(seed).eval()(batch).logits.detach().double().log_softmax(-1).numpy()
        logs.append(-np.take_along_axis(logits, batch.target.numpy()[..., None], -1)[..., 0])
    for t in range(6):
        counted = np.flatnonzero(batch.weight[:, t].numpy())
        own = [log[counted, t] for log in logs]
        gaps = own[1] - own[0]
        assert weight[t] == len(counted)
        for k in range(2):
            assert losses.loss[k, t] == pytest.approx(own[k].mean(), rel=1e-5)
        assert losses.gap[1, t] == pytest.approx(gaps.mean(), abs=1e-5)
        assert losses.error[1, t] == pytest.approx(gaps.std() / np.sqrt(len(counted)), rel=1e-4)
    assert (losses.gap[0] == 0).all()
    assert (losses.error[0] == 0).all()
    everywhere = [log[batch.weight.numpy() > 0].mean() for log in logs]
    np.testing.assert_allclose(losses.mean(weight).numpy(), everywhere, rtol=1e-5)


def test_two_ranks_find_what_one_does():
    def on_rank():
        torch.distributed.init_process_group("gloo")
        return measured()

    expected = measured()
    for found in run_ranks(on_rank, 2):
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs)


def test_windows_of_several_lengths_and_positions_without_weight():
    sums = PositionSums()
    sums.add(torch.tensor([[[1.0, torch.nan]]]), torch.tensor([[1.0, 0.0]]))
    sums.add(torch.tensor([[[2.0, torch.inf, 4.0]]]), torch.tensor([[3.0, 0.0, 1.0]]))
    losses, weight = sums.means()
    assert losses.loss[0].nan_to_num(-1.0).tolist() == [1.75, -1.0, 4.0]
    assert weight.tolist() == [4.0, 0.0, 1.0]
    assert losses.mean(weight).item() == (1 + 6 + 4) / 5


@pytest.mark.parametrize("blank", [-100, 7])
def test_what_stands_where_no_position_counts_is_not_read(blank):
    """As in training; also where the objective has no term of that name."""
    plain, other = Windows(23), Windows(23)
    counts = other.batch.weight > 0
    other.batch = other.batch._replace(target=torch.where(counts, other.batch.target, blank))
    modules = [model(0), model(1)]
    modules[1].losses.clear()
    expected, _ = measure_positions(modules, Sample(plain))
    found, _ = measure_positions(modules, Sample(other))
    assert torch.equal(found.loss, expected.loss)


def test_a_term_of_the_objective_is_chosen_by_its_name():
    module, sample = model(), Sample(Windows(5))
    named, _ = measure_positions([module], sample, "nll")
    plain, _ = measure_positions([module], sample)
    torch.testing.assert_close(named.loss, plain.loss)
    with pytest.raises(ValueError, match="no term 'huber' in its objective; choose from nll"):
        measure_positions([module], sample, "huber")
