"""How a linear read-out encodes the probabilities of tokens: statistics, probe, edit and prune."""

from framework.analysis.encoding.contexts import Contexts
from framework.analysis.encoding.probing.probe import EncodingProbe, probe
from framework.analysis.encoding.pruning.deletion import Deletion
from framework.analysis.encoding.pruning.divergence import Divergence, diverge
from framework.analysis.encoding.pruning.saliency import Saliency
from framework.analysis.encoding.readout import Readout, readout, states
from framework.analysis.encoding.regression import Regression, regress
from framework.analysis.encoding.statistics import Statistics, gather

__all__ = [
    "Contexts",
    "Deletion",
    "Divergence",
    "EncodingProbe",
    "Readout",
    "Regression",
    "Saliency",
    "Statistics",
    "diverge",
    "gather",
    "probe",
    "readout",
    "regress",
    "states",
]
