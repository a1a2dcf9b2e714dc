"""What needs a GPU: whether it computes the same there, and how fast it is."""
