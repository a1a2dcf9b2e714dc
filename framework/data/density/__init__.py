"""Regression problems of which the whole conditional distribution is wanted."""
