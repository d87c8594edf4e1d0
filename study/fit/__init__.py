"""The files of a spec's models say what of its space would fit."""
