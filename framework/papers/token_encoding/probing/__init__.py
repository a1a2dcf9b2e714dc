"""What the rows of a read-out tell of the probabilities of its tokens."""
