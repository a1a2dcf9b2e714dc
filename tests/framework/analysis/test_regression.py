"""Least squares: against numpy and scipy, the textbook's formulas and a loop over folds."""

import numpy as np
import pytest
import scipy.linalg
import torch

from framework.analysis import LeastSquares, least_squares, regress
from framework.analysis.least_squares import parts
from tests.ranks import run_ranks


def draw(count, dim, condition=10.0, noise=0.1, seed=0):
    """A matrix of a given condition far from 0, its slope, and a target."""
    generator = torch.Generator().manual_seed(seed)
    u, v = (
        torch.linalg.qr(torch.randn(n, dim, generator=generator, dtype=torch.float64)).Q
        for n in (count, dim)
    )
    singular = torch.logspace(0, -np.log10(condition), dim, dtype=torch.float64)
    rows = u * singular * count**0.5 @ v.T + 3
    slope = torch.randn(dim, generator=generator, dtype=torch.float64)
    error = noise * torch.randn(count, generator=generator, dtype=torch.float64)
    return rows, slope, rows @ slope + 5 + error


def oracle(rows, target):
    """The slope of scipy's gelsd for centered columns."""
    x, y = rows.double().numpy(), target.numpy()
    solved = scipy.linalg.lstsq(x - x.mean(0), y - y.mean(), lapack_driver="gelsd")[0]
    return torch.from_numpy(solved)


def distance(slope, other):
    return ((slope - other).norm() / other.norm()).item()


@pytest.mark.parametrize("condition", [1e1, 1e2, 1e4, 1e6, 1e7])
def test_slopes_are_those_of_scipy(condition):
    """As exact as float64 allows."""
    rows, _, target = draw(1000, 40, condition, noise=1e-3)
    found, expected = regress(rows, target), oracle(rows, target)
    assert distance(found.slope, expected) < 1e-8
    shifted = target.mean() - rows.mean(0) @ expected
    lever = (rows.mean(0).norm() * expected.norm()).item()  # what the slopes' distance moves
    assert found.intercept == pytest.approx(shifted.item(), abs=1e-8 * lever)
    torch.testing.assert_close(found.predict(rows), rows @ expected + shifted, rtol=0, atol=1e-8)


def test_float32_rows_are_not_multiplied_in_float32():
    """Products in float32 would err by 15, those in float64 that are not centered by 1e-5."""
    rows = draw(1000, 40, 1e4)[0].float()
    slope = draw(1000, 40, 1e4)[1]
    found = regress(rows, rows.double() @ slope)
    assert found.condition > 1e3
    assert distance(found.slope, slope) < 1e-6


@pytest.mark.parametrize("condition", [10.0, 1e7])
def test_numbers_are_those_of_the_textbook(condition):
    rows, _, target = draw(300, 12, condition)
    found, centered = regress(rows, target), rows - rows.mean(0)
    u, s, v = torch.linalg.svd(centered, full_matrices=False)
    left = target - target.mean() - u @ (u.T @ target)
    share = (left.square().sum() / (target - target.mean()).square().sum()).item()
    assert found.count == 300
    assert found.r2 == pytest.approx(1 - share, abs=1e-10)
    assert found.adjusted_r2 == pytest.approx(1 - share * 299 / (300 - 12 - 1), abs=1e-10)
    assert found.rmse == pytest.approx(left.square().mean().sqrt().item(), rel=1e-8)
    assert found.deviation == pytest.approx(target.std(correction=0).item(), rel=1e-10)
    variances = (v.T / s).square().sum(1) * left.square().sum() / (300 - 12 - 1)
    torch.testing.assert_close(found.standard_errors, variances.sqrt(), rtol=1e-6, atol=0)
    singular = torch.linalg.svdvals(centered / centered.norm(dim=0))
    assert found.condition == pytest.approx((singular[0] / singular[-1]).item(), rel=1e-4)
    torch.testing.assert_close(found.deviations, rows.std(0, correction=0))
    torch.testing.assert_close(found.saliency, found.slope.abs() * found.deviations)


def ridge_slope(rows, target, ridge):
    """Of normal equations of standardized columns."""
    x = rows - rows.mean(0)
    norms = x.norm(dim=0)
    gram = (x / norms).T @ (x / norms) + ridge * torch.eye(x.shape[1], dtype=torch.float64)
    return torch.linalg.solve(gram, (x / norms).T @ (target - target.mean())) / norms


@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_ridge_penalizes_standardized_slopes(ridge):
    rows, _, target = draw(300, 12, 1e2)
    found = regress(rows, target, ridge=ridge)
    torch.testing.assert_close(found.slope, ridge_slope(rows, target, ridge), rtol=1e-8, atol=0)
    x = rows - rows.mean(0)
    left = target - target.mean() - x @ found.slope
    gram = (x / x.norm(dim=0)).T @ (x / x.norm(dim=0))
    inverse = torch.linalg.inv(gram + ridge * torch.eye(12, dtype=torch.float64))
    variances = (inverse @ gram @ inverse).diagonal() / x.norm(dim=0).square()
    errors = (variances * left.square().sum() / (300 - 13)).sqrt()
    torch.testing.assert_close(found.standard_errors, errors, rtol=1e-8, atol=0)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("condition", [10.0, 1e7])
def test_folds_are_left_out_in_turn(ridge, condition):
    """Against a loop that fits every time anew."""
    rows, _, target = draw(203, 12, condition, noise=0.5)
    drawn = torch.randperm(203, generator=torch.Generator().manual_seed(0))
    missed = 0.0
    for fold in drawn.tensor_split(4):
        rest = torch.ones(203, dtype=torch.bool)
        rest[fold] = False
        x, y = rows[rest], target[rest]
        slope = ridge_slope(x, y, ridge) if ridge else oracle(x, y)
        missed += (target[fold] - y.mean() - (rows[fold] - x.mean(0)) @ slope).square().sum()
    expected = 1 - missed / (target - target.mean()).square().sum()
    found = regress(rows, target, ridge, folds=4).cross_validated_r2
    assert found == pytest.approx(expected.item(), abs=1e-6)
    assert found < regress(rows, target, ridge).r2


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_of_dependent_columns_the_shortest_slope(kind):
    """Two columns are the same up to a factor, one is constant."""
    rows, _, target = draw(400, 10)
    rows = rows.to(kind)
    rows[:, 3], rows[:, 7] = 3 * rows[:, 1], 0.1
    found = regress(rows, target)
    assert found.condition > 1e6
    assert found.slope[7] == pytest.approx(0, abs=1e-6)
    assert found.slope[3].item() == pytest.approx(3 * found.slope[1].item(), rel=1e-5)
    kept = [k for k in range(10) if k not in (3, 7)]
    expected = regress(rows[:, kept], target).predict(rows[:, kept])
    torch.testing.assert_close(found.predict(rows), expected, rtol=0, atol=1e-6)
    assert found.standard_errors.max() < 1


def test_a_shift_of_all_rows_moves_the_intercept_only():
    """And a scale of a column divides its slope."""
    rows, _, target = draw(400, 10)
    constant = torch.linspace(-5, 5, 10, dtype=torch.float64)
    scale = torch.linspace(0.01, 100, 10, dtype=torch.float64)
    found, moved = regress(rows, target), regress(rows + constant, target)
    torch.testing.assert_close(moved.slope, found.slope, rtol=0, atol=1e-9)
    expected = found.intercept - (found.slope @ constant).item()
    assert moved.intercept == pytest.approx(expected, abs=1e-9)
    scaled = regress(rows * scale, target)
    torch.testing.assert_close(scaled.slope, found.slope / scale, rtol=1e-9, atol=0)
    torch.testing.assert_close(scaled.saliency, found.saliency, rtol=1e-9, atol=0)


@pytest.mark.parametrize("condition", [10.0, 1e7])
def test_parts_of_rows_add_up(condition, monkeypatch):
    rows, _, target = draw(500, 10, condition)
    whole = regress(rows, target)
    monkeypatch.setattr(least_squares, "CHUNK", 1)
    assert {len(part) for part in parts(rows)} == {10}  # as many as columns
    apart = regress(rows, target)
    torch.testing.assert_close(apart.slope, whole.slope, rtol=1e-7, atol=0)
    assert apart.cross_validated_r2 == pytest.approx(whole.cross_validated_r2, abs=1e-9)
    torch.testing.assert_close(apart.predict(rows), whole.predict(rows), rtol=0, atol=1e-7)


def test_no_part_of_the_rows_is_large(monkeypatch):
    """Not more than a part is ever turned to float64."""
    monkeypatch.setattr(least_squares, "CHUNK", 64 * 8)
    sizes = []
    monkeypatch.setattr(least_squares, "exact", lambda x: sizes.append(x.numel()) or x.double())
    fit = regress(torch.randn(5000, 8), torch.randn(5000))
    fit.predict(torch.randn(5000, 8))
    assert max(sizes) == 64 * 8


def test_targets_that_say_nothing():
    rows = draw(100, 5)[0]
    found = regress(rows, torch.full((100,), 2.5))
    assert np.isnan([found.r2, found.adjusted_r2, found.cross_validated_r2]).all()
    assert found.intercept == 2.5
    nothing = regress(torch.zeros(100, 5), torch.arange(100.0))
    assert nothing.slope.tolist() == [0] * 5
    assert nothing.r2 == pytest.approx(0)


def test_without_folds_nothing_is_validated_and_all_else_is_the_same():
    rows, _, target = draw(400, 10)
    found, expected = regress(rows, target, folds=None), regress(rows, target)
    assert np.isnan(found.cross_validated_r2)
    torch.testing.assert_close(found.slope, expected.slope, rtol=1e-10, atol=0)
    assert found.adjusted_r2 == pytest.approx(expected.adjusted_r2, abs=1e-12)


def several(count=203):
    """Rows, and three outputs of which the last one is constant."""
    rows, _, target = draw(count, 6)
    return rows, torch.stack((target, target.square(), torch.full_like(target, 0.1)), 1)


def add(rows, outputs, sizes):
    found = LeastSquares(rows.shape[1], outputs.shape[1])
    for x, y in zip(rows.split(sizes), outputs.split(sizes), strict=True):
        found.add(x, y)
    return found


@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_several_outputs_are_those_of_numpy(ridge):
    """The penalty as further rows, as textbooks do; a scale of ones penalizes slopes as such."""
    rows, outputs = several()
    fit = add(rows, outputs, 50).fit(ridge, torch.ones(6, dtype=torch.float64))
    x, y = rows.numpy(), outputs.numpy()
    stacked = np.concatenate([x - x.mean(0), np.sqrt(ridge) * np.eye(6)])
    wanted = np.concatenate([y - y.mean(0), np.zeros((6, 3))])
    expected = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    np.testing.assert_allclose(fit.slope, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit.intercept, y.mean(0) - x.mean(0) @ expected, rtol=1e-9)


def test_sums_are_those_of_all_rows_however_they_are_divided():
    """Into parts of one row, of 50 and of all, and into least squares that are joined."""
    rows, outputs = several()
    centered = outputs - outputs.mean(0)
    divided = [add(rows, outputs, size) for size in (1, 50, 203)]
    apart = [add(rows[:1], outputs[:1], 1), LeastSquares(6, 3), add(rows[1:], outputs[1:], 10)]
    for found in (*divided, LeastSquares.joined(apart)):
        assert found.count == 203
        torch.testing.assert_close(found.means[:6], rows.mean(0))
        torch.testing.assert_close(found.norms, (rows - rows.mean(0)).norm(dim=0))
        torch.testing.assert_close(found.variation, centered.square().sum(0), rtol=1e-9, atol=0)
        assert found.variation[2] == 0  # exactly
        fit = found.fit()
        left = outputs - rows @ fit.slope - fit.intercept
        torch.testing.assert_close(
            found.residuals(fit)[:2], left.square().sum(0)[:2], rtol=1e-9, atol=0
        )


def test_a_fit_leaves_in_other_rows_what_it_leaves_there():
    rows, outputs = several()
    fit = add(rows[:100], outputs[:100], 100).fit()
    left = outputs[100:] - rows[100:] @ fit.slope - fit.intercept
    found = add(rows[100:], outputs[100:], 7).residuals(fit)
    torch.testing.assert_close(found, left.square().sum(0), rtol=1e-9, atol=1e-20)


def test_processes_join_their_rows():
    """Of two, of which one may have none; both get the same."""
    rows, outputs = several()
    expected = add(rows, outputs, 203).fit(0.1)

    def on_rank():
        torch.distributed.init_process_group("gloo")
        rank = torch.distributed.get_rank()
        slopes = []
        for mine in (slice(rank, None, 2), slice(0, 203 * rank)):
            whole = add(rows[mine], outputs[mine], 50).over_processes()
            assert whole.count == 203
            slopes.append(whole.fit(0.1).slope)
        return slopes

    first, second = run_ranks(on_rank, 2)
    for slope, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(slope, other)
        np.testing.assert_allclose(slope, expected.slope, rtol=1e-10, atol=1e-12)


def test_processes_agree_how_exact_their_rows_are():
    """Of two, of which one has none; columns depend on each other but for their rounding."""
    rows, _, target = draw(400, 10)
    rows = rows.float()
    rows[:, 3] = rows[:, 1] / 3
    whole = add(rows, target[:, None], 400)
    assert whole.fit().slope.abs().max() < 10

    def on_rank():
        torch.distributed.init_process_group("gloo")
        found = whole if torch.distributed.get_rank() else LeastSquares(10)
        return found.over_processes().fit().slope

    for slope in run_ranks(on_rank, 2):
        np.testing.assert_allclose(slope, whole.fit().slope, rtol=0, atol=1e-9)


def test_sums_of_no_rows_are_on_the_device_of_those_rows():
    """Where processes exchange them; "meta" stands for an accelerator."""
    nothing = torch.empty(0, 4, device="meta")
    found = LeastSquares(3)
    found.add(nothing[:, :3], nothing[:, 3])
    assert found.factor.device.type == found._origin.device.type == "meta"


def test_mistakes():
    rows, target = torch.randn(100, 5), torch.randn(100)
    with pytest.raises(ValueError, match=r"24 rows are too few for 5 columns.*at least 25 rows"):
        regress(rows[:24], target[:24])
    for ridge in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="is no penalty"):
            regress(rows, target, ridge=ridge)
    with pytest.raises(ValueError, match="folds=1 cannot be left out"):
        regress(rows, target, folds=1)
    with pytest.raises(ValueError, match="not finite"):
        regress(rows, target.where(target < 2, torch.nan).log())
    with pytest.raises(ValueError, match="not finite"):
        regress(rows / 0, target)
