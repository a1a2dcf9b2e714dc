"""What a run would take, counted before it starts, and how fast it is, measured."""

from framework.planning.layout import Layout
from framework.planning.plan import Plan

__all__ = ["Layout", "Plan"]
