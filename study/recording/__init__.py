"""Measures a space into a recording, or takes one from studies."""
