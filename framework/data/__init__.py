"""Data modules: each publishes a spec once and serves batches of raw outcomes at every step.

What they read from (corpora, tokenizers, panels, problems) is imported here too, so that a command
line knows it by name.
"""

from framework.data.density.module import DensityData
from framework.data.density.problems import Problem, Synthetic
from framework.data.density.processes import Gaussian, Process, SignedBeta, TwoGaussians
from framework.data.density.regression import Table
from framework.data.module import Examples, PredictiveData
from framework.data.prompts.module import PromptData, PromptTokenData
from framework.data.prompts.normals import DescribedNormals, Prompts
from framework.data.series.module import SeriesData
from framework.data.series.panels import Arrays, Competition, PanelSource
from framework.data.series.scaling import MeanScaling, Scaling, StandardScaling
from framework.data.series.tables import LongTable, WideTable
from framework.data.tokens.corpora import Corpus, StateOfTheUnion, TextFiles
from framework.data.tokens.files import TokenFiles
from framework.data.tokens.hub import HubText, SavedText
from framework.data.tokens.module import TokenData
from framework.data.tokens.tokenizer import (
    BytePairTokenizer,
    ByteTokenizer,
    FileTokenizer,
    Tokenizer,
)
from framework.data.trajectories.episodes import EpisodeSource
from framework.data.trajectories.hopper import Hopper
from framework.data.trajectories.module import TrajectoryData
from framework.data.trajectories.orders import ActionOrder, AtariOrder
from framework.data.trajectories.playing import CartPole, Pendulum
from framework.data.trajectories.recordings import MinariEpisodes, NpzEpisodes, TableEpisodes

__all__ = [
    "ActionOrder",
    "Arrays",
    "AtariOrder",
    "BytePairTokenizer",
    "ByteTokenizer",
    "CartPole",
    "Competition",
    "Corpus",
    "DensityData",
    "DescribedNormals",
    "EpisodeSource",
    "Examples",
    "FileTokenizer",
    "Gaussian",
    "Hopper",
    "HubText",
    "LongTable",
    "MeanScaling",
    "MinariEpisodes",
    "NpzEpisodes",
    "PanelSource",
    "Pendulum",
    "PredictiveData",
    "Problem",
    "Process",
    "PromptData",
    "PromptTokenData",
    "Prompts",
    "SavedText",
    "Scaling",
    "SeriesData",
    "SignedBeta",
    "StandardScaling",
    "StateOfTheUnion",
    "Synthetic",
    "Table",
    "TableEpisodes",
    "TextFiles",
    "TokenData",
    "TokenFiles",
    "Tokenizer",
    "TrajectoryData",
    "TwoGaussians",
    "WideTable",
]
