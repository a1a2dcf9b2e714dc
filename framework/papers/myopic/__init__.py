"""Myopic training (arXiv:2404.00859): what a model computes for later positions."""

from framework.papers.myopic.callback import FutureGradients
from framework.papers.myopic.gradients import FutureGradient, GradientParts
from framework.papers.myopic.local import GivenPastModel, LocalLanguageModel
from framework.papers.myopic.paired import PairedArms
from framework.papers.myopic.positions import PositionLosses, measure_positions
from framework.papers.myopic.probes import ProbeScores, probe_layers

__all__ = [
    "FutureGradient",
    "FutureGradients",
    "GivenPastModel",
    "GradientParts",
    "LocalLanguageModel",
    "PairedArms",
    "PositionLosses",
    "ProbeScores",
    "measure_positions",
    "probe_layers",
]
