"""The decision model against loops, and in a real environment."""

from functools import partial

import numpy as np
import pytest
import torch

from components.backbones.decoder import Decoder
from components.data import EpisodeBatch, KnownTrajectoryBatch, TrajectoryBatch, TrajectorySpec
from components.heads.fan import FanHead
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.heads.parametric import NormalHead
from components.metrics.smoothness import smoothness
from components.stems import TrajectoryStem
from components.supports import Interval, Tokens
from framework.data.trajectories.module import TrajectoryData
from framework.data.trajectories.soft_pendulum import SoftPendulum
from framework.data.trajectories.truth import true_distribution
from framework.evaluation.acting import mean, mode, sample
from framework.evaluation.rollout import play
from framework.modules import DecisionModel
from tests.framework.modules.parts import FixedData, options, train, trainer
from tests.ranks import run_ranks

CARTPOLE = TrajectorySpec(
    support=Tokens(2),
    observation=(4,),
    length=5,
    horizon=30,
    environment="CartPole-v1",
    mean=(0.0,) * 4,
    std=(1.0,) * 4,
    return_scale=20.0,
    random_return=22.0,
    data_return=122.0,
)
PENDULUM = TrajectorySpec(
    support=Interval(-2.0, 2.0, (1,)),
    observation=(3,),
    length=4,
    horizon=6,
    environment="Pendulum-v1",
    mean=(0.0,) * 3,
    std=(1.0, 1.0, 5.0),
    return_scale=1000.0,
)
EPISODES = EpisodeBatch(torch.tensor([5, 6, 7]), torch.tensor([30.0, 60.0, 90.0]))


def batch(spec, size=6):
    generator = torch.Generator().manual_seed(6)
    shape = size, spec.length
    match spec.support:
        case Tokens(size=choices):
            action = torch.randint(choices, shape, generator=generator)
        case _:
            action = torch.rand(*shape, 1, generator=generator) * 4 - 2
    mask = torch.arange(spec.length) >= torch.arange(size)[:, None] % spec.length
    return TrajectoryBatch(
        observation=torch.randn(*shape, *spec.observation, generator=generator),
        action=action,
        return_to_go=torch.rand(shape, generator=generator) * 50,
        time=torch.arange(spec.length).expand(shape) * mask,
        mask=mask,
        target=action,
        weight=mask.float(),
    )


def model(spec, head=LinearHead, **changes):
    backbone = partial(Decoder, dim=16, depth=1, heads=2)
    return DecisionModel(**options(spec, TrajectoryStem, head, backbone), **changes)


def data(spec, **changes):
    return FixedData(batch(spec), EPISODES, predict=1, **changes)


def test_choices_are_scored_by_accuracy_and_return():
    module = model(CARTPOLE, act="mode")
    metrics = train(module, data(CARTPOLE))
    known = batch(CARTPOLE)
    with torch.no_grad():
        likeliest = module.eval()(known).probs.argmax(-1)
    hits = [
        (likeliest[b, t] == known.target[b, t]).item()
        for b in range(6)
        for t in range(5)
        if known.mask[b, t]
    ]
    assert metrics["val/accuracy"] == pytest.approx(np.mean(hits))
    with torch.no_grad():
        rough = smoothness(module.eval()(known).probs)[known.mask]
    assert metrics["val/smoothness"] == pytest.approx(rough.mean().item(), rel=1e-5)
    assert (metrics["val/return_random"], metrics["val/return_data"]) == (22, 122)
    returns = module.play(EPISODES)
    assert metrics["val/return"] == pytest.approx(returns.mean().item())
    assert metrics["val/score_random_to_data"] == pytest.approx(
        returns.mean().item() - 22, rel=1e-5
    )
    apart = [module.play(EpisodeBatch(*(x[k : k + 1] for x in EPISODES))) for k in range(3)]
    assert len(returns.unique()) > 1, "the episodes must differ for this to test anything"
    assert returns.tolist() == torch.cat(apart).tolist()
    module.reread = 3
    expected = play(module.policy(), CARTPOLE, EPISODES, reread=3).returns
    assert module.play(EPISODES).tolist() == expected.tolist()


class AskingData(FixedData):
    """Serves episodes with the same seeds for each of several target returns."""

    def __init__(self, targets):
        asked = [EPISODES._replace(return_to_go=torch.full((3,), target)) for target in targets]
        super().__init__(batch(CARTPOLE), *asked)
        self.target_returns = targets


def test_each_target_return_has_metrics_of_its_own():
    module = model(CARTPOLE)
    metrics = train(module, AskingData((10.0, 500.0, 37.5)), precision="bf16-true")
    assert not {"val/return", "val/target_return"} & set(metrics)
    assert metrics["val/return_random"] == 22
    for target in (10.0, 500.0, 37.5):
        asked = EPISODES._replace(return_to_go=torch.full((3,), target))
        mean = module.play(asked).mean().item()
        assert metrics[f"val/return_at_{target:g}"] == pytest.approx(mean)
        assert metrics[f"val/score_random_to_data_at_{target:g}"] == pytest.approx(mean - 22)
    one = train(model(CARTPOLE), AskingData((10.0,)))
    assert one["val/target_return"] == 10
    assert one["val/return"] > 0


def test_quantities_are_scored_by_absolute_error():
    module = model(PENDULUM, NormalHead)
    metrics = train(module, data(PENDULUM))
    known = batch(PENDULUM)
    with torch.no_grad():
        errors = (module.eval()(known).mean - known.target).abs()[known.mask]
    assert metrics["val/absolute_error"] == pytest.approx(errors.mean().item(), rel=1e-5)
    assert not {"val/score_random_to_data", "val/return_data"} & set(metrics), "of unknown returns"


def test_bins_and_densities_are_scored_by_the_same_256_cells():
    binned = train(model(PENDULUM), data(PENDULUM))
    assert binned["val/nll_cells"] == pytest.approx(binned["val/nll"], rel=1e-5)
    module = model(PENDULUM, NormalHead)
    metrics, known = train(module, data(PENDULUM)), batch(PENDULUM)
    with torch.no_grad():
        normal = module.eval()(known).base_dist
    low = (known.target * 64).floor() / 64  # cells of [-2, 2] are 1/64 wide
    masses = normal.cdf(low.double() + 1 / 64) - normal.cdf(low.double())
    expected = -(64 * masses[known.mask]).log().mean().item()
    assert metrics["val/nll_cells"] == pytest.approx(expected, rel=1e-4)


def test_the_share_of_actions_on_a_bound_is_counted():
    known = batch(PENDULUM)
    ends = torch.rand(known.action.shape, generator=torch.Generator().manual_seed(1)) < 0.4
    action = torch.where(ends, known.action.sign() * 2, known.action)
    served = FixedData(known._replace(action=action, target=action), EPISODES, predict=1)
    metrics = train(model(PENDULUM), served)
    assert metrics["val/at_bound"] == pytest.approx(ends[known.mask].float().mean().item())


class KnownData(FixedData):
    """Serves what actions were drawn from: two choices, or eight cells of a torque."""

    def __init__(self, spec):
        known = batch(spec)
        cells = 2 if spec is CARTPOLE else 8
        drawn = np.random.default_rng(0).dirichlet(np.ones(cells), size=known.action.shape)
        chances = torch.from_numpy(drawn).float()
        chances[~known.mask] = 0
        self.spec, self.known = spec, KnownTrajectoryBatch(*known, chances)
        super().__init__(self.known, EPISODES, predict=1)

    def truth(self, batch):
        return true_distribution(batch.chances, self.spec.support)


@pytest.mark.parametrize("spec", [CARTPOLE, PENDULUM], ids=["choices", "quantities"])
def test_predictions_are_scored_by_the_divergence_from_what_is_known(spec):
    module, served = model(spec, LinearHead), KnownData(spec)
    metrics = train(module, served)
    with torch.no_grad():
        prediction = module.eval()(served.known)
    rows = [(b, t) for b in range(6) for t in range(spec.length) if served.known.mask[b, t]]
    nats = []
    for b, t in rows:
        p = served.known.chances[b, t].double().flatten()
        if spec is CARTPOLE:
            q = prediction.probs[b, t]
        else:  # 256 cells of a prediction, 32 in each of the truth
            q = prediction.base_dist.cells.probs[b, t, 0]
            p = p.repeat_interleave(32) / 32
        nats.append((p * (p / q.double()).log()).sum().item())
    assert metrics["val/kl"] == pytest.approx(np.mean(nats), rel=1e-4)
    assert "val/kl" not in train(model(spec), data(spec)), "nothing is known of these"


def test_a_soft_expert_is_scored_in_validation_and_test():
    source = SoftPendulum(steps=1_000, cells=8)
    served = TrajectoryData(source, length=4, episodes=1, horizon=3, holdout=0.2)
    module = model(served.spec, partial(LinearHead, bins=8))
    metrics = train(module, served)
    runner = trainer()
    runner.test(module, served, verbose=False)
    assert metrics["val/kl"] > 0
    assert runner.callback_metrics["test/kl"] > 0


@pytest.mark.parametrize("spec", [CARTPOLE, PENDULUM], ids=["choices", "quantities"])
@pytest.mark.parametrize("head", [LinearHead, FanHead, FourierHead], ids=lambda h: h.__name__)
def test_two_steps_episodes_and_figures(spec, head):
    module, served = model(spec, head), data(spec)
    metrics = train(module, served)
    assert np.isfinite(list(metrics.values())).all()
    rows = [row for rows in trainer().predict(module, served) for row in rows]
    assert [row["seed"] for row in rows] == [5, 6, 7]
    assert [row["return_to_go"] for row in rows] == [30.0, 60.0, 90.0]
    assert np.mean([row["return"] for row in rows]) == pytest.approx(metrics["val/return"])
    figure = module.figures(batch(spec))["actions"]
    taken, predicted = figure.axes[1].patches
    assert taken.get_data().values.sum() == pytest.approx(1)
    assert predicted.get_data().values.sum() == pytest.approx(1, abs=1e-4)
    (mesh, _) = figure.axes[0].collections
    shown = np.asarray(mesh.get_array()).sum(0)
    np.testing.assert_allclose(shown, np.ones(spec.length), atol=1e-4)


def test_actions_are_drawn_by_inversion():
    uniform = torch.arange(0.0005, 1, 0.001)
    probs = torch.tensor([0.2, 0.0, 0.5, 0.3])
    distribution = torch.distributions.Categorical(probs.expand(1000, 4))
    counts = sample(distribution, uniform, Tokens(4)).bincount(minlength=4)
    assert counts.tolist() == [200, 0, 500, 300]
    normal = torch.distributions.Normal(torch.full((1000, 1), 1.0), 2.0)
    vector = torch.distributions.Independent(normal, 1)
    drawn = sample(vector, uniform[:, None], Interval(-9, 9, (1,)))
    torch.testing.assert_close(normal.cdf(drawn), uniform[:, None])
    ends = sample(vector, torch.tensor([0.0, 1.0]).repeat(500)[:, None], Interval(-9, 9, (1,)))
    assert ends.isfinite().all()


def test_other_acts_use_no_randomness():
    normal = torch.distributions.Normal(torch.tensor([1.0, 2.0]), 2.0)
    assert mean(normal, torch.rand(2), Interval(-9, 9)).tolist() == [1.0, 2.0]
    assert mode(normal, torch.rand(2), Interval(-9, 9)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("act", ["sample", "mode"])
@pytest.mark.parametrize(
    ("spec", "head"), [(CARTPOLE, LinearHead), (PENDULUM, NormalHead), (PENDULUM, FourierHead)]
)
def test_a_model_that_diverged_does_not_act(spec, head, act):
    module = model(spec, head, act=act)
    module.configure_model()
    with torch.no_grad():
        next(module.head.parameters())[0] = torch.nan
    with pytest.raises(ValueError, match=r"DecisionModel has no action at step [34]: what"):
        module.policy()(batch(spec), torch.rand(6, *spec.support.shape))


def test_windows_have_a_step_for_each_that_leaves_them():
    with pytest.raises(
        ValueError, match="DecisionModel: reread=6 is out of range; windows have 5"
    ):
        model(CARTPOLE, reread=6)


def test_choices_cannot_be_averaged():
    with pytest.raises(ValueError, match="DecisionModel cannot average 2 choices with act=mean"):
        model(CARTPOLE, act="mean").act(None, torch.zeros(1), CARTPOLE.support)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_episodes_on_ranks_are_those_on_one(strategy):
    """Episodes end at different times; a rank that asked no more would hang the other."""

    def play():
        from lightning.pytorch.strategies import ModelParallelStrategy

        made = {"ddp": "ddp", "fsdp2": ModelParallelStrategy(2, 1)}[strategy]
        module = model(CARTPOLE, act="mode")
        torch.manual_seed(0)
        runner = trainer(strategy=made, devices=2)
        runner.test(module, data(CARTPOLE), verbose=False)
        return {name: float(value) for name, value in runner.callback_metrics.items()}

    torch.manual_seed(0)
    runner = trainer()
    runner.test(model(CARTPOLE, act="mode"), data(CARTPOLE), verbose=False)
    for metrics in run_ranks(play, 2):
        for name, value in runner.callback_metrics.items():
            assert metrics[name] == pytest.approx(float(value), rel=1e-5), name
