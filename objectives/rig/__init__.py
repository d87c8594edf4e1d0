"""Real servers for a machine without a GPU, stubs, and the bench of the load generator."""
