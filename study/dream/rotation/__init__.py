"""This package decides whose turn it is, runs turns, and keeps what the next process needs."""
