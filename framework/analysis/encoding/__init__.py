"""How a linear read-out encodes the probabilities of tokens: statistics, probe, edit and prune."""

from framework.analysis.encoding.contexts import Contexts
from framework.analysis.encoding.probing import EncodingProbe, probe
from framework.analysis.encoding.readout import Readout, readout, states
from framework.analysis.encoding.regression import Regression, regress
from framework.analysis.encoding.statistics import Statistics, gather

__all__ = [
    "Contexts",
    "EncodingProbe",
    "Readout",
    "Regression",
    "Statistics",
    "gather",
    "probe",
    "readout",
    "regress",
    "states",
]
