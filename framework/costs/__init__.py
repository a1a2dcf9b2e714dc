"""What training costs, counted on shapes alone: operations, activations and states."""

from framework.costs.activations import StepCosts, step_costs
from framework.costs.shares import ALL, Share
from framework.costs.states import States, states_of

__all__ = ["ALL", "Share", "States", "StepCosts", "states_of", "step_costs"]
