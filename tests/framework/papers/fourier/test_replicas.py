"""Models trained side by side go where each goes alone."""

from functools import partial

import pytest
import torch

from components.backbones import Perceptron
from components.heads import EvenMixtureHead, FourierHead, LinearHead, PointHead
from components.losses import NegativeLogLikelihood
from components.stems import CellIndex, FeatureStem, Unscaled
from framework.data import DensityData
from framework.papers.fourier.groups import Candidate, Group
from framework.papers.fourier.replicas import Replicas
from framework.schedules import Constant, WarmupCosine
from framework.tasks.toy_densities import Gaussian, SignedBeta, Synthetic, TwoGaussians
from tests.framework.modules.parts import trainer

STEPS = 12
# With eps=1e-8, Adam magnifies rounding a million times where a gradient vanishes.
ADAM = partial(torch.optim.AdamW, lr=0.01, eps=1e-4, weight_decay=0.0)
CELLS = {"stem": partial(FeatureStem, scale=CellIndex), "schedule": Constant, "clip": None}
DENSITIES = {
    "stem": partial(FeatureStem, scale=Unscaled),
    "schedule": partial(WarmupCosine, warmup=0, floor=0.001),
    "clip": 0.1,
}
FOURIER = partial(FourierHead, bins=50, eps=1e-5, init="official")
CASES = {
    "linear": (CELLS, [partial(LinearHead, bins=50)] * 3, None),
    "mixture": (CELLS, [partial(EvenMixtureHead, bins=50)] * 3, None),
    "point": (CELLS, [PointHead] * 3, None),
    "fourier": (CELLS, [partial(FOURIER, frequencies=n) for n in (2, 5, 9)], 9),
    "density": (DENSITIES, [partial(FourierHead, frequencies=n) for n in (3, 1, 6)], 6),
    "decay": (DENSITIES, [EvenMixtureHead] * 3, None),
}


def problems():
    return [
        DensityData(Synthetic(process, size=100, seed=seed), batch_size=8, seed=seed)
        for seed, process in enumerate((Gaussian(), TwoGaussians(), SignedBeta()), 1)
    ]


def group(case):
    how, heads, most = CASES[case]
    decay = 0.1 if case == "decay" else 0.0
    candidates = [
        Candidate(str(k), seed=40 + k, data=data, head=head)
        for k, (data, head) in enumerate(zip(problems(), heads, strict=True))
    ]
    return Group(
        case,
        candidates,
        backbone=partial(Perceptron, dim=32, depth=1, hidden=64),
        losses={"nll": NegativeLogLikelihood},
        optimizer=partial(ADAM, weight_decay=decay),
        widest=heads[-1] if most else None,
        **how,
    )


def alone(group, candidate):
    """The weights after a run of Lightning's trainer with the seed of the candidate."""
    torch.manual_seed(candidate.seed)
    model = group.model(candidate, candidate.head)
    runner = trainer(max_steps=STEPS, gradient_clip_val=group.clip, precision="64-true")
    runner.fit(model, candidate.data)
    return model


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("case", CASES)
def test_a_replica_follows_the_trajectory_of_a_run_alone(case):
    together, apart = group(case), group(case)
    singles = [alone(apart, candidate) for candidate in apart.candidates]
    replicas = together.replicas(STEPS)
    replicas.train()
    batch = problems()[0].dataset("test").__getitems__(list(range(20)))
    for single, replica in zip(singles, replicas.models, strict=True):
        for part in ("stem", "backbone"):
            for name, weight in getattr(single, part).state_dict().items():
                found = getattr(replica, part).state_dict()[name]
                torch.testing.assert_close(found, weight, rtol=1e-9, atol=1e-11, msg=name)
        expected = single(batch).log_prob(batch.target)
        found = replica(batch).log_prob(batch.target)
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_coefficients_that_were_added_stay_zero():
    """A Fourier head of fewer frequencies is one of more whose last coefficients are zero."""
    together = group("fourier")
    replicas = together.replicas(STEPS)
    replicas.train()
    for candidate, model in zip(together.candidates, replicas.models, strict=True):
        frequencies = candidate.head.keywords["frequencies"]
        real, imaginary = model.head.projection.weight.chunk(2)
        assert real.shape == (10, 32)
        for half in (real, imaginary):
            assert (half[: frequencies + 1].abs().sum(1) > 0).all()
            assert (half[frequencies + 1 :] == 0).all()


@pytest.mark.parametrize("case", ["linear", "density"])
def test_a_target_without_weight_is_not_read(case):
    """As in training, whatever stands there."""
    replicas = group(case).replicas(STEPS)
    batch = next(replicas._batches)
    weight = batch.weight.clone()
    weight[:, ::2] = 0
    rest = batch._replace(**{name: x[:, 1::2] for name, x in batch._asdict().items()})
    target = torch.where(weight > 0, batch.target, torch.nan)
    found = replicas.losses(batch._replace(weight=weight, target=target))
    torch.testing.assert_close(found, replicas.losses(rest))
    found.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in replicas.parameters.values())


def test_data_of_different_sizes_are_refused():
    other = DensityData(Synthetic(Gaussian(), size=50), batch_size=8)
    together = group("linear")
    models = [together.model(candidate, candidate.head) for candidate in together.candidates]
    with pytest.raises(ValueError, match=r"Replicas: the data hold \[40, 80\] training examples"):
        Replicas(models, [*problems()[:2], other], ADAM, Constant, STEPS)
