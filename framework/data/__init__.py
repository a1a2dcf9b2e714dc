"""Data modules: each publishes a spec once and serves batches of raw outcomes at every step.

Their sources (corpora, tokenizers, panels, problems, episodes) are listed here too, so that the
command line can name them.
"""

from framework.data.density.module import DensityData
from framework.data.density.problems import Observations, Problem, Table
from framework.data.module import Dataset, InMemory, PredictiveData
from framework.data.series.classical import ETS, LocalMethod, Theta
from framework.data.series.module import SeriesData
from framework.data.series.panels import Arrays, Panel, PanelSource
from framework.data.series.recorded import Competition, FppTable
from framework.data.series.scaling import LastScaling, MeanScaling, Scaling, StandardScaling
from framework.data.series.tables import LongTable, WideTable
from framework.data.tokens.bundled import PythonFiles, PythonLibrary, StateOfTheUnion
from framework.data.tokens.corpora import Corpus, TextCorpus
from framework.data.tokens.hub import HubText, SavedText
from framework.data.tokens.module import TokenData
from framework.data.tokens.shards.source import TokenShards
from framework.data.tokens.streaming.module import StreamedTokenData
from framework.data.tokens.streaming.source import StreamedText
from framework.data.tokens.text_files import JsonLines, TextFiles
from framework.data.tokens.token_files import TokenFiles
from framework.data.tokens.tokenizer import (
    BytePairTokenizer,
    ByteTokenizer,
    FileTokenizer,
    Tokenizer,
)
from framework.data.trajectories.arrays import NpzEpisodes
from framework.data.trajectories.controllers import CartPole, Hopper, Pendulum
from framework.data.trajectories.episodes import Episodes, EpisodeSource
from framework.data.trajectories.filming import AtariEpisodes, RandomAtari
from framework.data.trajectories.hdf5 import Hdf5Episodes
from framework.data.trajectories.module import TrajectoryData
from framework.data.trajectories.orders import ActionOrder, AtariOrder
from framework.data.trajectories.recordings import MinariEpisodes, TableEpisodes
from framework.data.trajectories.replay import DqnReplay
from framework.data.trajectories.soft_pendulum import SoftPendulum

__all__ = [
    "ETS",
    "ActionOrder",
    "Arrays",
    "AtariEpisodes",
    "AtariOrder",
    "BytePairTokenizer",
    "ByteTokenizer",
    "CartPole",
    "Competition",
    "Corpus",
    "Dataset",
    "DensityData",
    "DqnReplay",
    "EpisodeSource",
    "Episodes",
    "FileTokenizer",
    "FppTable",
    "Hdf5Episodes",
    "Hopper",
    "HubText",
    "InMemory",
    "JsonLines",
    "LastScaling",
    "LocalMethod",
    "LongTable",
    "MeanScaling",
    "MinariEpisodes",
    "NpzEpisodes",
    "Observations",
    "Panel",
    "PanelSource",
    "Pendulum",
    "PredictiveData",
    "Problem",
    "PythonFiles",
    "PythonLibrary",
    "RandomAtari",
    "SavedText",
    "Scaling",
    "SeriesData",
    "SoftPendulum",
    "StandardScaling",
    "StateOfTheUnion",
    "StreamedText",
    "StreamedTokenData",
    "Table",
    "TableEpisodes",
    "TextCorpus",
    "TextFiles",
    "Theta",
    "TokenData",
    "TokenFiles",
    "TokenShards",
    "Tokenizer",
    "TrajectoryData",
    "WideTable",
]
