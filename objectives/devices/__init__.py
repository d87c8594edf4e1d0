"""This package reads the shared device: what it is, who holds its memory, and what is free."""
