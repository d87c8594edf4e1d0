"""This package reads a D-REAM file: what holds for all of it, and each experiment of its list."""
