"""Verbs that plan and measure runs."""
