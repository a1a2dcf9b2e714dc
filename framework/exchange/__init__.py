"""Exchange with other libraries: published models become checkpoints of ours, and back."""

from framework.exchange.weights import Weights

__all__ = ["Weights"]
