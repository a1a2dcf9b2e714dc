"""Which dimensions of a read-out can go, and what that costs."""
