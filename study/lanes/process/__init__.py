"""This package has the process of a lane: its program, and the messages that cross its pipes."""
