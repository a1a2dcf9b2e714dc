"""Data modules: each publishes a spec once and serves batches of raw outcomes at every step."""
