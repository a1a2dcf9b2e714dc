"""Regression problems of which the whole conditional law is wanted."""
