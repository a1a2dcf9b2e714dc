"""Text that is read while a model trains: more than a disk holds, or from the hub."""
