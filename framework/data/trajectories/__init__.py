"""Episodes as windows of observations and actions, recorded or played."""
