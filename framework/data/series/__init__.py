"""Time series as windows of a past and a future, from tables and competitions."""
