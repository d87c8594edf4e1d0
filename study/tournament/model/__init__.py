"""A model of what was measured tells what has not been."""
