"""What a failed server's log means: `python -m objectives.diagnosis FILE`."""
