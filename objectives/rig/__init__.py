"""This package installs servers for a machine without a GPU, and benches the load generator."""
