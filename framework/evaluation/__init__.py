"""Evaluations that take more than one forward pass: texts, sampled forecasts, episodes.

Every function here runs inside a validation, test or predict step and makes the same number of
forward passes on all ranks, because a forward pass of a sharded model is a collective.
"""
