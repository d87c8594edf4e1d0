"""This room measures the pairs of a confirmation: live, or from a recording."""
