"""This package names what a failed server's log means: `python -m objectives.diagnosis FILE`."""
