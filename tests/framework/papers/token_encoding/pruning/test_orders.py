"""Orders of deletion: what they leave, and that none does better than the rotated one."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm, svdvals

from framework.papers.token_encoding.pruning.orders import AxisOrder, RotatedOrder, centered
from tests.framework.papers.token_encoding.pruning.uneven import DIM, uneven


def orders():
    own, known, _ = uneven()
    return {
        "axis": AxisOrder(torch.rand(DIM, generator=torch.Generator().manual_seed(1))),
        "rotated": RotatedOrder(own.weight, known.covariance),
    }


def loss(order, count):
    """Mean square over contexts and tokens of what logits lose, up to what tokens share."""
    own, known, _ = uneven()
    states = known.contexts.hidden.double() - known.mean
    lost = states - order.left(states, count)
    return (lost @ centered(own.weight).T).square().sum(1).mean().item()


@pytest.mark.parametrize("name", orders())
def test_rows_and_states_are_two_views_of_one_projection(name):
    """E (P h) = (E P) h, P P = P, its trace counts what is left, and deletions are nested."""
    order, eye = orders()[name], torch.eye(DIM, dtype=torch.float64)
    before = eye
    for count in range(DIM):
        projection = order.left(eye, count).T
        torch.testing.assert_close(order.narrowed(eye, count), projection)
        torch.testing.assert_close(projection @ projection, projection)
        assert projection.trace().item() == pytest.approx(DIM - count)
        torch.testing.assert_close(projection @ before, projection)
        before = projection
    assert torch.equal(order.left(eye, 0), eye)


def test_dimensions_of_low_scores_go_first():
    order = AxisOrder(torch.tensor([0.3, 0.1, 0.2, 0.1]))
    assert order.index.tolist() == [1, 3, 2, 0]
    assert order.kept(2).tolist() == [0, 2]
    states = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert order.left(states, 2).tolist() == [[1.0, 0.0, 3.0, 0.0]]
    assert states.tolist() == [[1.0, 2.0, 3.0, 4.0]]


def test_no_map_of_that_rank_does_better_than_the_rotated_order():
    """What is lost are the smallest singular values of E_c C^½, by Eckart and Young."""
    own, known, _ = uneven()
    values = svdvals(centered(own.weight).numpy() @ np.real(sqrtm(known.covariance.numpy())))
    order = orders()["rotated"]
    for count in range(DIM):
        expected = (values[DIM - count :] ** 2).sum()
        assert loss(order, count) == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert np.linalg.matrix_rank(order.narrowed(own.weight.double(), count)) == DIM - count


def test_a_direction_in_which_states_are_constant_is_deleted_for_nothing():
    own, known, _ = uneven()
    constant = torch.nn.functional.normalize(torch.ones(DIM, dtype=torch.float64), dim=0)
    flat = torch.eye(DIM, dtype=torch.float64) - torch.outer(constant, constant)
    order = RotatedOrder(own.weight, flat @ known.covariance @ flat)
    states = (known.contexts.hidden.double() - known.mean) @ flat
    torch.testing.assert_close(order.left(states, 1), states, rtol=0, atol=1e-7)
    assert order.narrowed(own.weight, 3).isfinite().all()


def test_directions_leave_every_dimension():
    with pytest.raises(ValueError, match=r"rotated .*choose another saliency\.$"):
        orders()["rotated"].kept(3)
