"""Figures come from this machine or a recording, which one user has at a time."""
