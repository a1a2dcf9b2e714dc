"""Laws of all stems: predictions never see their own target, and what is missing stays missing."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from components.backbones import MLP, Decoder, EncoderDecoder
from components.data import (
    DensityBatch,
    DensitySpec,
    PairBatch,
    PromptBatch,
    PromptSpec,
    SequenceBatch,
    SequenceSpec,
    SeriesBatch,
    SeriesSpec,
    TokenBatch,
    TokenSpec,
    TrajectoryBatch,
    TrajectorySpec,
)
from components.stems import (
    ConvObservation,
    FeatureStem,
    FlatObservation,
    PairStem,
    PatchStem,
    SeriesStem,
    TokenStem,
    TrajectoryStem,
    Unscaled,
)
from components.supports import Bins, Interval, Tokens

BATCH, DIM = 3, 16
ACTIONS = {
    "discrete": Tokens(4),
    "scalar": Interval(-2.0, 2.0),
    "vector": Interval(-1.0, 1.0, (2,)),
    "binned": Bins.uniform(-1.0, 1.0, 5, (2,)),
}
SERIES = SeriesSpec(Interval(-5.0, 5.0), context=8, horizon=6, season=3)
DENSITY = DensitySpec(Interval(0.0, 1.0), features=2)
SEQUENCES = SequenceSpec(Interval(-1.0, 1.0), 2, 6)
GAME = TrajectorySpec(Tokens(4), (2, 36, 40), 5, 20, "", (0.0,), (255.0,), 10.0)


def trajectory_spec(support, shape=(3,)):
    size = math.prod(shape)
    return TrajectorySpec(support, shape, 5, 20, "", (0.5,) * size, (2.0,) * size, 10.0)


def outcomes(support, *axes):
    if isinstance(support, Tokens):
        return torch.randint(support.size, axes)
    return torch.empty(*axes, *support.shape).uniform_(-1.0, 1.0)


def text():
    tokens = torch.randint(7, (BATCH, 6))
    return TokenBatch(tokens[:, :-1], tokens[:, 1:], torch.ones(BATCH, 5))


def episodes(support, shape=(3,), steps=5):
    mask = torch.arange(steps) >= torch.tensor([[0], [2], [4]])
    action = outcomes(support, BATCH, steps)
    return TrajectoryBatch(
        observation=torch.randn(BATCH, steps, *shape),
        action=action,
        return_to_go=torch.randn(BATCH, steps),
        time=torch.arange(steps).expand(BATCH, steps),
        mask=mask,
        target=action.clone(),
        weight=mask.float(),
    )


def game():
    batch = episodes(GAME.support)
    pixels = torch.randint(256, (*batch.mask.shape, *GAME.observation), dtype=torch.uint8)
    return batch._replace(observation=pixels)


def panel():
    observed = torch.rand(BATCH, SERIES.context) > 0.3
    observed[:, -1] = True
    observed[0, :3] = False  # padding
    return SeriesBatch(
        past=torch.randn(BATCH, SERIES.context) * observed,
        observed=observed,
        loc=torch.randn(BATCH, 1),
        scale=torch.rand(BATCH, 1) + 0.5,
        error=torch.ones(BATCH, 1),
        target=torch.randn(BATCH, SERIES.horizon),
        weight=torch.ones(BATCH, SERIES.horizon),
    )


def regression():
    return DensityBatch(torch.randn(BATCH, 2), torch.rand(BATCH, 1), torch.ones(BATCH, 1))


def sequences():
    return SequenceBatch(torch.randn(BATCH, 6, 2), torch.rand(BATCH, 6), torch.ones(BATCH, 6))


def prompts():
    mask = torch.arange(5) >= torch.tensor([[0], [2], [4]])
    tokens = torch.randint(7, (BATCH, 5)) * mask
    return PromptBatch(tokens, mask, torch.rand(BATCH, 1), torch.ones(BATCH, 1))


def pairs():
    mask = torch.arange(4) < torch.tensor([[4], [2], [1]])
    return PairBatch(*text(), torch.randint(7, (BATCH, 4)) * mask, mask)


def hide_text(batch, t):
    """Changes targets from t on, and what is observed after them."""
    tokens, target = batch.tokens.clone(), batch.target.clone()
    tokens[:, t + 1 :] = (tokens[:, t + 1 :] + 3) % 7
    target[:, t:] = (target[:, t:] + 3) % 7
    return batch._replace(tokens=tokens, target=target)


def hide_episodes(support):
    def hide(batch, t):
        other = outcomes(support, *batch.mask.shape)
        action = torch.cat((batch.action[:, :t], other[:, t:]), 1)
        later = torch.arange(batch.mask.shape[1]) > t
        return batch._replace(
            action=action,
            target=action,
            return_to_go=batch.return_to_go + later,
            observation=batch.observation + later.view(-1, *[1] * (batch.observation.dim() - 2)),
        )

    return hide


def hide_panel(batch, t):
    target, weight = batch.target.clone(), batch.weight.clone()
    target[:, t:] += 7
    weight[:, t:] = 0
    return batch._replace(target=target, weight=weight)


def hide_regression(batch, t):
    return batch._replace(target=batch.target + 7)


def hide_sequences(batch, t):
    features, target = batch.features.clone(), batch.target.clone()
    features[:, t + 1 :] += 7
    target[:, t:] += 7
    return batch._replace(features=features, target=target)


ALL = {
    "prompts": (
        lambda: TokenStem(DIM, PromptSpec(Interval(-1.0, 1.0), 7, 5)),
        prompts,
        hide_regression,
    ),
    "tokens": (lambda: TokenStem(DIM, TokenSpec(Tokens(7), 5)), text, hide_text),
    "pairs": (lambda: PairStem(DIM, TokenSpec(Tokens(7), 5)), pairs, hide_text),
    "series": (lambda: SeriesStem(DIM, SERIES), panel, hide_panel),
    "lags": (lambda: SeriesStem(DIM, SERIES, lags=[2, 8]), panel, hide_panel),
    "patches": (lambda: PatchStem(DIM, SERIES, patch=3), panel, hide_panel),
    "features": (lambda: FeatureStem(DIM, DENSITY), regression, hide_regression),
    "sequences": (
        lambda: FeatureStem(DIM, SEQUENCES, scale=Unscaled, std=0.02),
        sequences,
        hide_sequences,
    ),
    "deep features": (lambda: FeatureStem(DIM, DENSITY, hidden=8), regression, hide_regression),
}
for name, support in ACTIONS.items():
    ALL[name] = (
        lambda support=support: TrajectoryStem(DIM, trajectory_spec(support)),
        lambda support=support: episodes(support),
        hide_episodes(support),
    )
ALL["images"] = (
    lambda: TrajectoryStem(DIM, GAME, observation=ConvObservation, activation=nn.Tanh),
    game,
    hide_episodes(Tokens(4)),
)
for returns in ("added", "none"):
    ALL[f"returns {returns}"] = (
        lambda returns=returns: TrajectoryStem(DIM, trajectory_spec(Tokens(4)), returns=returns),
        lambda: episodes(Tokens(4)),
        hide_episodes(Tokens(4)),
    )
cases = pytest.mark.parametrize(("make", "sample", "hide"), ALL.values(), ids=ALL.keys())


def build(make, sample):
    torch.manual_seed(0)
    return make(), sample()


@cases
@pytest.mark.parametrize("second", [False, True], ids=["Decoder", "other"])
def test_no_prediction_depends_on_its_target_or_on_what_comes_later(make, sample, hide, second):
    stem, batch = build(make, sample)
    embedded = stem(batch)
    other = MLP(DIM, 2) if embedded.context is None else EncoderDecoder(DIM, 2, 2)
    backbone = other if second else Decoder(DIM, 2, 2)
    with torch.no_grad():
        predicted = stem.readout(backbone(embedded))
        assert predicted.shape == (*batch.weight.shape, DIM)
        for t in range(batch.weight.shape[1]):
            changed = stem.readout(backbone(stem(hide(batch, t))))
            assert torch.equal(changed[:, : t + 1], predicted[:, : t + 1])
            if stem.autoregressive and t + 1 < batch.weight.shape[1]:
                assert not torch.equal(changed[:, t + 1 :], predicted[:, t + 1 :])


@cases
def test_states_are_float32_also_under_autocast(make, sample, hide):
    stem, batch = build(make, sample)
    with torch.autocast("cpu", torch.bfloat16):
        embedded = stem(batch)
    assert embedded.states.dtype == torch.float32
    assert embedded.context is None or embedded.context.dtype == torch.float32


@cases
def test_gradients_reach_every_parameter(make, sample, hide):
    stem, batch = build(make, sample)
    embedded = stem(batch)
    read = (embedded.states, embedded.context, stem.readout(embedded.states))
    sum(x.square().sum() for x in read if x is not None).backward()
    assert all(p.grad is not None and p.grad.any() for p in stem.parameters())


@cases
def test_an_empty_shell_is_initialized_by_its_modules(make, sample, hide):
    with torch.device("meta"):
        stem = make()
    stem.to_empty(device="cpu")
    for tensor in (*stem.parameters(), *stem.buffers()):
        torch.nn.init.constant_(tensor, math.nan)
    for module in stem.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert all(x.isfinite().all() for x in (*stem.parameters(), *stem.buffers()))
    assert set(stem.state_dict()) == {name for name, _ in stem.named_parameters()}
    stem.load_state_dict(make().state_dict())
    torch.manual_seed(0)
    whole, batch = make(), sample()
    stem.load_state_dict(whole.state_dict())
    assert torch.equal(stem(batch).states, whole(batch).states)


@pytest.mark.parametrize("support", ACTIONS.values(), ids=ACTIONS.keys())
def test_trajectories_interleave_return_observation_and_action(support):
    stem, batch = build(
        lambda: TrajectoryStem(DIM, trajectory_spec(support)), lambda: episodes(support)
    )
    embedded = stem(batch)
    assert embedded.states.shape == (BATCH, 15, DIM)
    torch.testing.assert_close(embedded.mask, torch.stack((batch.mask,) * 3, 2).flatten(1))
    scaled = ((batch.observation - 0.5) / 2.0).asinh()
    for t in range(5):
        at = stem.time.weight[t]
        wanted = (batch.return_to_go[:, t, None] / 10.0).asinh() * stem.return_to_go.weight[:, 0]
        seen = scaled[:, t] @ stem.observation.projection.weight.T
        done = support.encode(batch.action[:, t]) @ stem.action.weight.T
        for k, expected in enumerate((wanted, seen, done)):
            torch.testing.assert_close(embedded.states[:, 3 * t + k], expected + at)
    torch.testing.assert_close(
        stem.readout(embedded.states), embedded.states[:, [1, 4, 7, 10, 13]]
    )


@pytest.mark.parametrize("returns", ["added", "none"])
def test_without_a_state_of_the_return_steps_have_two(returns):
    """They are those of the stem with three, the return added to the observation or left out."""
    torch.manual_seed(0)
    spec, options = trajectory_spec(Tokens(4)), {"activation": nn.Tanh}
    whole, stem = TrajectoryStem(DIM, spec, **options), TrajectoryStem(
        DIM, spec, returns=returns, **options
    )  # fmt: skip
    stem.load_state_dict({name: whole.state_dict()[name] for name in stem.state_dict()})
    batch = episodes(Tokens(4))
    expected, found = whole(batch), stem(batch)
    assert found.states.shape == (BATCH, 10, DIM)
    assert torch.equal(found.mask, batch.mask.repeat_interleave(2, 1))
    wanted, seen, done = expected.states.unflatten(1, (5, 3)).unbind(2)
    both = wanted + seen - stem.time(batch.time) if returns == "added" else seen
    torch.testing.assert_close(found.states[:, 0::2], both)
    torch.testing.assert_close(found.states[:, 1::2], done)
    assert torch.equal(stem.readout(found.states), found.states[:, 0::2])


def test_a_stem_that_reads_no_return_has_no_parameters_for_it():
    stems = [
        TrajectoryStem(DIM, trajectory_spec(Tokens(4)), returns=returns)
        for returns in ("token", "added", "none")
    ]
    sizes = [sum(p.numel() for p in stem.parameters()) for stem in stems]
    assert sizes == [sizes[0], sizes[0], sizes[0] - 2 * DIM]
    batch = episodes(Tokens(4))
    richer = batch._replace(return_to_go=batch.return_to_go + 1)
    same = [torch.equal(stem(batch).states, stem(richer).states) for stem in stems]
    assert same == [False, False, True]


def test_times_are_clamped_to_the_longest_episode():
    stem = TrajectoryStem(DIM, trajectory_spec(Tokens(4)))
    batch = episodes(Tokens(4))
    last = stem(batch._replace(time=torch.full_like(batch.time, 19))).states
    assert torch.equal(stem(batch._replace(time=torch.full_like(batch.time, 99))).states, last)


@pytest.mark.parametrize("shape", [(4, 84, 84), (1, 36, 45)])
def test_images_are_encoded_step_by_step(shape):
    encoder = ConvObservation(DIM, shape)
    images = torch.rand(2, 3, *shape)
    vectors = encoder(images)
    assert vectors.shape == (2, 3, DIM)
    torch.testing.assert_close(vectors[1, 2], encoder(images[1:, 2:])[0, 0], rtol=1e-4, atol=1e-6)


def test_images_are_encoded_as_in_the_paper():
    stem, batch = build(*ALL["images"][:2])
    states = stem(batch).states
    first, second, third = (stem.observation.convolutions[k] for k in (0, 2, 4))
    for step in (0, 4):
        image = batch.observation[1, step].float() / 255
        for layer, stride in ((first, 4), (second, 2), (third, 1)):
            image = conv2d(image, layer.weight, layer.bias, stride).relu()
        vectors = (
            stem.return_to_go((batch.return_to_go[1, step, None] / 10.0).asinh()),
            stem.observation.projection(image.flatten()),
            stem.action.weight[:, batch.action[1, step]] + stem.action.bias,
        )
        for k, vector in enumerate(vectors):
            expected = vector.tanh() + stem.time.weight[step]
            torch.testing.assert_close(states[1, 3 * step + k], expected, rtol=1e-4, atol=1e-6)
    assert [first.out_channels, second.out_channels, third.out_channels] == [32, 64, 64]
    assert [x.kernel_size[0] for x in (first, second, third)] == [8, 4, 3]
    assert ConvObservation(DIM, (4, 84, 84)).projection.weight.shape == (DIM, 3136)


def test_sequences_are_mapped_linearly_and_start_as_a_transformer_does():
    stem, batch = build(*ALL["sequences"][:2])
    expected = batch.features @ stem.embedding.weight.T
    torch.testing.assert_close(stem(batch).states, expected)
    wide = FeatureStem(4096, SequenceSpec(Interval(-1.0, 1.0), 5, 6), std=0.02).embedding
    assert wide.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert not wide.bias.any()


def test_padding_changes_no_answer():
    stem, batch = build(*ALL["prompts"][:2])
    backbone = Decoder(DIM, 2, 2)
    with torch.no_grad():
        together = stem.readout(backbone(stem(batch)))
        for row in range(BATCH):
            alone = PromptBatch(*(field[row : row + 1] for field in batch))
            length = int(alone.mask.sum())
            cut = alone._replace(tokens=alone.tokens[:, -length:], mask=alone.mask[:, -length:])
            torch.testing.assert_close(stem.readout(backbone(stem(cut)))[0], together[row])


@pytest.mark.parametrize("size", [1e3, 1e6, 1e30])
def test_outliers_do_not_explode(size):
    stem, batch = SeriesStem(DIM, SERIES), panel()
    states = stem(batch._replace(target=torch.full_like(batch.target, size))).states
    assert states.abs().max() < 1e3
    features = torch.full((1, 2), size)
    assert (
        FeatureStem(DIM, DENSITY)(regression()._replace(features=features)).states.abs().max()
        < 1e3
    )


def test_dropout_acts_in_training_only():
    stem = TokenStem(DIM, TokenSpec(Tokens(7), 5), dropout=0.5)
    states = stem(text()).states
    assert (states == 0).float().mean() > 0.2
    assert (stem.eval()(text()).states != 0).all()


def test_mistakes_are_one_sentence():
    with pytest.raises(
        ValueError,
        match=r"a TokenSpec or a PromptSpec, these publish a SeriesSpec; choose SeriesStem\.",
    ):
        TokenStem(DIM, SERIES)
    with pytest.raises(ValueError, match=r"SeriesStem .* choose FeatureStem\."):
        SeriesStem(DIM, DENSITY)
    with pytest.raises(
        ValueError,
        match=r"FeatureStem .* a dict; publish a DensitySpec or a SequenceSpec\.",
    ):
        FeatureStem(DIM, {})
    with pytest.raises(ValueError, match=r"a DensitySpec or a SequenceSpec, .* choose TokenStem"):
        FeatureStem(DIM, PromptSpec(Interval(-1.0, 1.0), 7, 5))
    with pytest.raises(ValueError, match=r"TrajectoryStem .* choose TokenStem\."):
        TrajectoryStem(DIM, TokenSpec(Tokens(2), 1))
    with pytest.raises(
        ValueError, match=r"lags=\[0, 9\] .* from 1 to the length of the context, 8"
    ):
        SeriesStem(DIM, SERIES, lags=[0, 9, 8])
    with pytest.raises(ValueError, match=r"of shape \(3,\); choose FlatObservation"):
        ConvObservation(DIM, (3,))
    crooked = TrajectorySpec(Tokens(2), (3,), 5, 9, "", (0.0,) * 2, (1.0,) * 2)
    with pytest.raises(ValueError, match=r"each of 3 components, .* got 2 and 2"):
        TrajectoryStem(DIM, crooked)


def test_flat_observations_of_any_shape_are_read():
    encoder = FlatObservation(DIM, (2, 3))
    assert encoder(torch.rand(2, 4, 2, 3)).shape == (2, 4, DIM)
