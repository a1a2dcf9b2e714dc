"""Every head on every kind of support that it serves."""

from functools import partial

from components.distributions import ErfWarp, TanhWarp
from components.heads.even import EvenMixtureHead
from components.heads.fan import FanHead
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.heads.parametric import MixtureHead, NormalHead, StudentTHead
from components.heads.point import PointHead
from components.heads.quantile import QuantileHead
from components.layers.fan import FanLayer
from components.supports import Bins, Interval, Tokens
from components.testing.heads import DIM
from framework.papers.token_encoding.pruning.head import PrunedHead

CELLS = [
    LinearHead,
    partial(LinearHead, scale=0.5, cap=2.0),
    FanHead,
    partial(FanHead, layers=2, hidden=6, p=0.5, gated=True),
    FourierHead,
    partial(FourierHead, frequencies=3, eps=1e-5, init="official", bins=7),
    partial(FourierHead, frequencies=30, bins=7),
    partial(FourierHead, frequencies=5, mass="exact", bins=7),
    partial(FourierHead, projection=partial(FanLayer, p=0.5)),
    partial(FourierHead, frequencies=5, ends="even"),
    partial(FourierHead, frequencies=5, ends="even", mass="exact", eps=1e-4, bins=7),
    partial(FourierHead, frequencies=5, ends="even", atoms="bounds", bins=7),
    partial(PrunedHead, kept=5),
    partial(PrunedHead, kept=DIM, bias=True),
]
SPECIALS = [
    (partial(FourierHead, specials=2), Tokens(7)),
    (partial(FourierHead, frequencies=3, specials=2, ends="even", atoms=[2, 4]), Tokens(7)),
]
WARPED = [
    partial(FourierHead, warp=TanhWarp),
    partial(FourierHead, frequencies=3, warp=ErfWarp),
    partial(FourierHead, frequencies=3, warp=ErfWarp, atoms=[0.0, 0.5]),
]
MIXED = [
    partial(FourierHead, frequencies=5, ends="even", atoms="bounds"),
    partial(FourierHead, frequencies=5, atoms=[0.25]),
]
CENSORED = [
    partial(NormalHead, censored=True),
    partial(StudentTHead, censored=True),
    partial(MixtureHead, components=3, censored=True),
]
REAL = [NormalHead, StudentTHead, MixtureHead, partial(MixtureHead, components=1), QuantileHead]
BASELINES = [EvenMixtureHead, partial(EvenMixtureHead, components=3, bins=6), PointHead]

TOKENS = [Tokens(7), Tokens(1)]
INTERVALS = [Interval(-2.0, 3.0), Interval(0.0, 1.0, (2,))]
BINS = [Bins((-1.0, 0.0, 0.5, 4.0)), Bins.uniform(0.0, 1.0, 5, (2,))]


def name(factory):
    if isinstance(factory, partial):
        options = ",".join(f"{key}={value}" for key, value in factory.keywords.items())
        return f"{factory.func.__name__}({options})"
    return factory.__name__


def _serves(head, support):
    own_bins = isinstance(head, partial) and "bins" in head.keywords
    return isinstance(support, Interval) or not own_bins


PAIRS = [(head, s) for head in CELLS for s in TOKENS + INTERVALS + BINS if _serves(head, s)]
PAIRS += [(head, s) for head in REAL + BASELINES for s in INTERVALS + BINS if _serves(head, s)]
PAIRS += [(head, s) for head in CENSORED for s in INTERVALS + BINS]
PAIRS += [(head, s) for head in MIXED + WARPED for s in INTERVALS]
PAIRS += SPECIALS
IDS = [f"{name(head)}-{support}" for head, support in PAIRS]
