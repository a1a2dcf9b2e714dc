"""Laws for parts of one's own: what every head, distribution, backbone and loss must hold.

A law is a function that takes a part, or what builds it, and raises an `AssertionError` where the
part breaks it. Any test runner can call them; with pytest:

    import pytest
    from components import Interval
    from components.testing import HEAD_LAWS

    @pytest.mark.parametrize("law", HEAD_LAWS)
    def test_laplace_head(law):
        law(LaplaceHead, Interval(-2.0, 3.0))

The parts that come with Overtone are held to the same laws by its own tests.
"""

from components.testing.backbones import BACKBONE_LAWS, CONTEXT_LAWS
from components.testing.distributions import DISCRETE_LAWS, REAL_LAWS
from components.testing.heads import HEAD_LAWS
from components.testing.losses import LOSS_LAWS

__all__ = [
    "BACKBONE_LAWS",
    "CONTEXT_LAWS",
    "DISCRETE_LAWS",
    "HEAD_LAWS",
    "LOSS_LAWS",
    "REAL_LAWS",
]
