"""How little suffices: against probes of the first contexts, and of the largest dimensions."""

import pytest
from torch.nn.functional import cosine_similarity

from framework.analysis import regress
from framework.papers.token_encoding import probe
from framework.papers.token_encoding.probing.sufficiency import few_contexts, few_dimensions
from tests.framework.papers.token_encoding.probing.measured import draw, measure


@pytest.mark.parametrize("bias", [False, True])
def test_slopes_from_few_contexts(bias):
    own, hidden = draw(bias=bias)
    statistics = measure(own, hidden)
    found = probe(own, statistics)
    cosines = few_contexts(own, statistics.contexts, found)
    assert list(cosines) == [16, 64, 256]
    for count, cosine in cosines.items():
        part = probe(own, measure(own, hidden[:count])).regression.slope
        expected = cosine_similarity(part, found.regression.slope, dim=0).item()
        assert cosine == pytest.approx(expected, abs=1e-5)  # of float32 logits


def test_the_largest_dimensions_alone():
    own, hidden = draw(dim=6)
    found = probe(own, measure(own, hidden))
    shares = few_dimensions(own, found)
    assert list(shares) == [1, 2, 4, 6]
    order = found.regression.saliency.argsort(descending=True)
    for k, share in shares.items():
        expected = regress(own.weight[:, order[:k]], found.target).adjusted_r2
        assert share == pytest.approx(expected, abs=1e-12)


def test_one_dimension():
    own, hidden = draw(dim=1)
    found = probe(own, measure(own, hidden))
    assert few_dimensions(own, found) == {1: found.regression.adjusted_r2}
