"""Parts of models in pure PyTorch: every class that a recipe may name, by its short name."""

from components.backbones import MLP, Decoder, EncoderDecoder, FanNetwork, Perceptron
from components.binnings import MixedBins
from components.distributions import ErfWarp, TanhWarp
from components.heads import (
    EvenMixtureHead,
    FanHead,
    FourierHead,
    LinearHead,
    MixtureHead,
    NormalHead,
    PointHead,
    QuantileHead,
    StudentTHead,
)
from components.initializations import Mitchell, NormalMatrices
from components.layers.attention import ScaledDotProduct
from components.layers.fan import FanLayer
from components.layers.feedforward import FeedForward, SwiGLU
from components.layers.myopic.attention import Bigram, GivenPast, Myopic
from components.layers.norms import LayerNorm, RMSNorm
from components.layers.positions import Learned, NoPositions, RelativeBias, Rotary
from components.losses import (
    CRPS,
    CoefficientPenalty,
    Entropy,
    Huber,
    LabelSmoothing,
    NegativeLogLikelihood,
    Pinball,
    Roughness,
    SquaredError,
    ZLoss,
)
from components.stems import (
    Asinh,
    BinnedSeriesStem,
    CellIndex,
    ConvObservation,
    FeatureStem,
    FlatObservation,
    PromptStem,
    SequenceStem,
    SeriesStem,
    TokenStem,
    TrajectoryStem,
    Unscaled,
)

__all__ = [
    "CRPS",
    "MLP",
    "Asinh",
    "Bigram",
    "BinnedSeriesStem",
    "CellIndex",
    "CoefficientPenalty",
    "ConvObservation",
    "Decoder",
    "EncoderDecoder",
    "Entropy",
    "ErfWarp",
    "EvenMixtureHead",
    "FanHead",
    "FanLayer",
    "FanNetwork",
    "FeatureStem",
    "FeedForward",
    "FlatObservation",
    "FourierHead",
    "GivenPast",
    "Huber",
    "LabelSmoothing",
    "LayerNorm",
    "Learned",
    "LinearHead",
    "Mitchell",
    "MixedBins",
    "MixtureHead",
    "Myopic",
    "NegativeLogLikelihood",
    "NoPositions",
    "NormalHead",
    "NormalMatrices",
    "Perceptron",
    "Pinball",
    "PointHead",
    "PromptStem",
    "QuantileHead",
    "RMSNorm",
    "RelativeBias",
    "Rotary",
    "Roughness",
    "ScaledDotProduct",
    "SequenceStem",
    "SeriesStem",
    "SquaredError",
    "StudentTHead",
    "SwiGLU",
    "TanhWarp",
    "TokenStem",
    "TrajectoryStem",
    "Unscaled",
    "ZLoss",
]
