"""The promotion file, and its seal."""
