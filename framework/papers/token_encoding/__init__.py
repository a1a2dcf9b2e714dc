"""How a linear read-out encodes the probabilities of tokens: statistics, probe, edit and prune."""

from framework.papers.token_encoding.callback import TokenEncoding
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.probing.probe import EncodingProbe, probe
from framework.papers.token_encoding.pruning.deletion import Deletion
from framework.papers.token_encoding.pruning.divergence import Divergence, diverge
from framework.papers.token_encoding.pruning.head import PrunedHead
from framework.papers.token_encoding.pruning.saliency import Saliency
from framework.papers.token_encoding.readout import Readout, readout, states
from framework.papers.token_encoding.statistics import Statistics, gather
from framework.papers.token_encoding.token_statistics import TokenStatistics

__all__ = [
    "Contexts",
    "Deletion",
    "Divergence",
    "EncodingProbe",
    "PrunedHead",
    "Readout",
    "Saliency",
    "Statistics",
    "TokenEncoding",
    "TokenStatistics",
    "diverge",
    "gather",
    "probe",
    "readout",
    "states",
]
