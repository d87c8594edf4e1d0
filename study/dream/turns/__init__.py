"""A turn is one epoch of one experiment, in a process of its own."""
