"""Chronos (arXiv:2403.07815): its corpora, benchmark sets and published scores."""

from framework.papers.chronos.data import SeriesCorpus, ZeroShotData
from framework.papers.chronos.kernel_synth import KernelSynth
from framework.papers.chronos.mixup import TSMixup
from framework.papers.chronos.state_space import StateSpaceSynth

__all__ = [
    "KernelSynth",
    "SeriesCorpus",
    "StateSpaceSynth",
    "TSMixup",
    "ZeroShotData",
]
