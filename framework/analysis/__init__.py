"""What a trained model does: its loss by position, what its states know, where gradients go."""

from framework.analysis.sample import Sample

__all__ = [
    "Sample",
]
