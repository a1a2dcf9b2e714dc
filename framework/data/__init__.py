"""Data modules: each publishes a spec once and serves batches of raw outcomes at every step.

What they read from (corpora, tokenizers, panels, problems) is imported here too, so that a command
line knows it by name.
"""

from framework.data.corpora import Corpus, StateOfTheUnion, TextFiles
from framework.data.density import DensityData
from framework.data.episodes import EpisodeSource
from framework.data.hub import HubText, SavedText
from framework.data.module import Examples, PredictiveData
from framework.data.panels import Arrays, Competition, PanelSource
from framework.data.playing import CartPole, Pendulum
from framework.data.problems import Problem, Synthetic
from framework.data.processes import Gaussian, Process, SignedBeta, TwoGaussians
from framework.data.recordings import MinariEpisodes, NpzEpisodes, TableEpisodes
from framework.data.regression import Table
from framework.data.scaling import MeanScaling, Scaling, StandardScaling
from framework.data.series import SeriesData
from framework.data.tables import LongTable, WideTable
from framework.data.token_files import TokenFiles
from framework.data.tokenizer import BytePairTokenizer, ByteTokenizer, FileTokenizer, Tokenizer
from framework.data.tokens import TokenData
from framework.data.trajectories import TrajectoryData

__all__ = [
    "Arrays",
    "BytePairTokenizer",
    "ByteTokenizer",
    "CartPole",
    "Competition",
    "Corpus",
    "DensityData",
    "EpisodeSource",
    "Examples",
    "FileTokenizer",
    "Gaussian",
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
