"""Statistics against a loop over contexts in float64; alike for any division."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp

from framework.analysis import Sample
from framework.papers.token_encoding import gather, readout, states
from framework.papers.token_encoding import statistics as code
from tests.framework.papers.myopic.models import Windows
from tests.framework.papers.token_encoding.models import HEADS, language_model
from tests.ranks import run_ranks

WINDOWS = Windows(23)


def found(module, size=None, batch=5, **options):
    return gather(module, Sample(WINDOWS, size, batch), **options)


def looped(module):
    """Computes what counts of one context after another, with float64 from the head on."""
    batch = WINDOWS.batch
    counted = batch.weight > 0
    own = module.head.output_embedding()
    with torch.no_grad():
        hidden = torch.cat([states(module, type(batch)(*(x[k : k + 1] for x in batch)))
                            for k in range(len(WINDOWS))])[counted].double()  # fmt: skip
        logits = hidden @ own.weight.double().T
        logits = (logits if own.bias is None else logits + own.bias.double()).numpy()
    return hidden.numpy(), logits, batch.target[counted].numpy()


def assert_alike(mine, theirs, rtol=1e-5):
    for name in ("positions", "log_z", "log_z_variance", "nll"):
        assert getattr(mine, name) == pytest.approx(getattr(theirs, name), rel=rtol), name
    for name in ("alpha", "mean", "covariance", "counts"):
        torch.testing.assert_close(
            getattr(mine, name), getattr(theirs, name), rtol=rtol, atol=1e-7, msg=name
        )
    torch.testing.assert_close(mine.contexts.hidden, theirs.contexts.hidden)
    assert torch.equal(mine.contexts.target, theirs.contexts.target)


@pytest.mark.parametrize("changes", HEADS.values(), ids=HEADS)
def test_statistics_are_those_of_a_loop(changes):
    module = language_model(**changes)
    statistics, (hidden, logits, target) = found(module), looped(module)
    log_probs, log_z = log_softmax(logits, 1), logsumexp(logits, 1)
    assert statistics.positions == len(hidden) == WINDOWS.batch.weight.sum()
    np.testing.assert_allclose(
        statistics.alpha.log(), np.log(np.exp(log_probs).mean(0)), atol=1e-5
    )
    assert statistics.alpha.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(statistics.mean, hidden.mean(0), rtol=1e-5, atol=1e-6)
    expected = np.cov(hidden, rowvar=False, bias=True)
    np.testing.assert_allclose(statistics.covariance, expected, rtol=1e-4, atol=1e-6)
    assert statistics.log_z == pytest.approx(log_z.mean(), rel=1e-5)
    assert statistics.log_z_variance == pytest.approx(log_z.var(), rel=1e-4)
    assert statistics.nll == pytest.approx(-log_probs[np.arange(len(target)), target].mean(), 1e-5)
    assert statistics.counts.tolist() == np.bincount(target, minlength=7).tolist()
    assert len(statistics.contexts) == statistics.positions


@pytest.mark.parametrize("changes", HEADS.values(), ids=HEADS)
def test_the_geometric_mean_is_linear_in_the_rows(changes):
    """-mean log P(w|x) = -h·E_w - b_w + mean log Z, by every log P of every context."""
    module = language_model(**changes)
    statistics, own = found(module), readout(module)
    every = statistics.contexts.log_probs(own, torch.arange(7))
    torch.testing.assert_close(statistics.log_geometric(own), every.mean(0), rtol=0, atol=1e-7)
    brute = log_softmax(looped(module)[1], 1).mean(0)
    np.testing.assert_allclose(statistics.log_geometric(own), brute, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_in_half_precision_has_float32_logits(dtype):
    module = language_model().to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        statistics = found(module, batch=1)
    hidden, logits, _ = looped(module)
    expected = np.log(np.exp(log_softmax(logits, 1)).mean(0))
    np.testing.assert_allclose(statistics.alpha.log(), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(statistics.mean, hidden.mean(0), rtol=1e-12)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_change_nothing(batch):
    module = language_model()
    assert_alike(found(module, batch=batch, contexts=9), found(module, contexts=9))


def test_ranks_with_unequal_shares_find_what_one_does():
    module = language_model()

    def on_rank():
        torch.distributed.init_process_group("gloo")
        read = [len(numbers) for numbers, _ in Sample(WINDOWS, None, 12)]
        statistics = found(module, batch=12, contexts=9)
        parts = {name: getattr(statistics, name) for name in code.TENSORS + code.NUMBERS}
        contexts = {name: getattr(statistics.contexts, name) for name in code.FIELDS}
        return {**parts, "read": sum(read), "contexts": contexts}

    expected, ranks = found(module, contexts=9), run_ranks(on_rank, 2)
    assert [rank.pop("read") for rank in ranks] == [11, 12]
    for rank in ranks:
        contexts = type(expected.contexts)(**rank.pop("contexts"))
        assert_alike(dataclasses.replace(expected, **rank, contexts=contexts), expected)


def test_numbers_of_contexts_do_not_depend_on_the_length_of_windows():
    """Where windows are padded to the longest of a batch, the places of contexts stay theirs."""
    module = language_model()

    class Padded(Windows):
        def __getitems__(self, indices):
            batch, short = super().__getitems__(indices), 0 not in indices
            return type(batch)(*(x[:, :4] for x in batch)) if short else batch

    cut = Padded(23)
    cut.batch.weight[1:, 4:] = 0
    expected = gather(module, Sample(cut, None, 23), 9)
    assert_alike(gather(module, Sample(cut, None, 2), 9), expected)


def test_every_part_is_set_back_to_what_it_was():
    module = language_model().train()
    module.backbone.eval()
    module.stem.register_forward_hook(lambda stem, *_: modes.append(stem.training))
    modes, before = [], [part.training for part in module.modules()]
    state = torch.get_rng_state()
    found(module)
    assert [part.training for part in module.modules()] == before
    assert set(before) == {True, False}
    assert set(modes) == {False}
    assert torch.equal(torch.get_rng_state(), state)


def test_a_token_that_is_never_predicted_is_told():
    module = language_model()
    with torch.no_grad():
        module.head.projection.bias[[2, 5]] = torch.tensor([-1e4, -95.0])
    statistics = found(module)
    assert statistics.alpha[2] == 0
    assert 0 < statistics.alpha[5] < 1.2e-38
    assert statistics.resolved.tolist() == [True, True, False, True, True, False, True]


def test_a_constant_dimension_has_no_negative_variance():
    module = language_model()
    with torch.no_grad():
        module.backbone.norm.weight[3] = 0
        module.backbone.norm.bias[3] = 1 / 3
    assert found(module).covariance[3, 3] == pytest.approx(0, abs=1e-15)
    assert found(module).covariance[3, 3] >= 0


def test_what_is_damaged_is_told_on_every_rank():
    module = language_model()
    with torch.no_grad():
        module.stem.embedding.weight[1] = torch.nan
    with pytest.raises(ValueError, match="The hidden states of LanguageModel are not finite; its"):
        found(module)
    module = language_model()
    with torch.no_grad():
        module.head.projection.weight[1] = torch.inf
    with pytest.raises(ValueError, match="The logits of LanguageModel are not finite; its weight"):
        found(module)
    assert not module.training

    def on_rank():
        torch.distributed.init_process_group("gloo")
        damaged = Windows(4)
        damaged.batch.tokens[0], damaged.batch.tokens[1:] = 3, 2  # read by the first rank only
        odd = language_model()
        with torch.no_grad():
            odd.stem.embedding.weight[3] = torch.nan
        with pytest.raises(ValueError, match="hidden states of LanguageModel are not finite"):
            gather(odd, Sample(damaged, None, 2))
        return True

    assert run_ranks(on_rank, 2) == [True, True]


def test_data_that_do_not_count():
    nothing = Windows(3)
    nothing.batch.weight.zero_()
    with pytest.raises(ValueError, match="No position of the data counts; give data with targets"):
        gather(language_model(), Sample(nothing))
