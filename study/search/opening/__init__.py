"""This package opens the study of a run: a new one, or the one that is to go on."""
