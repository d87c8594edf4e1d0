"""This package says what a study searches: its parameters and the space they span."""
