"""A sweep always shows random orders and the reverse one, and says what its parts measure."""

import pytest

from framework.papers.token_encoding.pruning.deletion import Deletion
from framework.papers.token_encoding.pruning.divergence import diverge
from framework.papers.token_encoding.pruning.report import (
    MEASURES,
    report_sweep,
    sweep_table,
    verdict,
)
from framework.papers.token_encoding.pruning.saliency import SALIENCIES, Saliency
from framework.papers.token_encoding.pruning.sweep import BUDGETS, SEEDS, orders, sweep
from tests.framework.papers.token_encoding.pruning.uneven import DIM, uneven


@pytest.fixture(scope="module")
def swept():
    own, known, other = uneven()
    saliency = Saliency(own, known)
    return saliency, own, other, sweep(saliency, own, other)


@pytest.mark.parametrize("names", [SALIENCIES, ("energy",), ("reverse",), ()], ids=str)
def test_random_orders_and_the_reverse_one_are_always_there(names):
    own, known, _ = uneven()
    found = orders(Saliency(own, known), names)
    assert sum(name.startswith("random ") for name in found) == SEEDS >= 3
    assert "reverse" in found
    assert {name for name in names if name != "random"} <= set(found)


@pytest.mark.slow
def test_every_order_is_measured_in_both_ways(swept):
    saliency, own, other, curves = swept
    names = [
        *(name for name in SALIENCIES if name != "random"),
        "random 0",
        "random 1",
        "random 2",
    ]
    assert sorted((x.name, x.folded) for x in curves) == sorted(
        (name, folded) for name in names for folded in (False, True)
    )
    for curve in (curves[0], curves[7]):
        name, _, seed = curve.name.partition(" ")
        mean = saliency.statistics.mean if curve.folded else None
        order = saliency.order(name, int(seed or 0))
        for count in (0, 4, 11):
            [alone] = diverge(own, other, [Deletion(order, count, mean)])
            assert curve.costs[count] == pytest.approx(alone, rel=1e-6)
        costs = [diverge(own, other, [Deletion(order, n, mean)])[0].kl for n in range(DIM)]
        for budget in BUDGETS:
            exceeding = next(n for n in range(DIM) if costs[n] > budget)
            assert curve.fits[budget] == exceeding - 1


def test_tables_and_numbers_hold_them(swept):
    *_, curves = swept
    finding = report_sweep(curves)
    for measure in MEASURES:
        table = sweep_table(curves, measure)
        named = [row[0] for row in table[1:]]
        assert {"random 0", "random 1", "random 2", "reverse", "rotated", "absA_sd"} <= set(named)
        assert table[0][1:7] == ["5%", "10%", "20%", "30%", "40%", "50%"]
        assert {len(row) for row in table} == {len(table[0])}
    assert finding.table[0][-3:] == ["fit 0.01", "fit 0.05", "fit 0.1"]
    [head, *rows] = finding.numbers
    for curve in curves:
        own = [
            row for row in rows if row[:2] == [curve.name, ["zeros", "mean folded"][curve.folded]]
        ]
        assert {row[2]: tuple(row[4:]) for row in own} == curve.costs
    assert head[4:] == ["kl", "js", "nll", "agreement"]
    cell = f"{curves[0].costs[4].kl:.4f} | {curves[1].costs[4].kl:.4f}"
    assert finding.table[1][4] == cell  # 30 % of 12 dimensions are 4
    assert finding.metrics["prune/absA_sd, zeros/kl at 30%"] == curves[0].costs[4].kl
    assert finding.metrics["prune/random 1, mean folded/fit 0.05 nats"] >= 0


def test_the_claim_of_the_paper_stands_beside(swept):
    *_, curves = swept
    cost = curves[0].costs[4]
    said = verdict(curves)
    assert f"30% by absA_sd, set to zero, cost {cost.kl:.4f} nats of KL" in said
    assert ("claim holds" in said) == (cost.kl <= 0.05)
    assert "\n" not in said
