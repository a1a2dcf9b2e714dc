"""What a trained model does: its loss by position, what its states know, where gradients go."""

from framework.analysis.gradients import FutureGradient, Split
from framework.analysis.positions import PositionLosses, measure_positions
from framework.analysis.probes import Probe, ProbeScores, probe_layers
from framework.analysis.rebuilding import load
from framework.analysis.sample import Sample

__all__ = [
    "FutureGradient",
    "PositionLosses",
    "Probe",
    "ProbeScores",
    "Sample",
    "Split",
    "load",
    "measure_positions",
    "probe_layers",
]
