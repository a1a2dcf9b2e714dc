"""Regression problems whose whole conditional distribution is to be predicted."""
