"""Pictures of how a read-out encodes probabilities."""
