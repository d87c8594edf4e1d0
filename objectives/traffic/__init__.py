"""This package makes the traffic that servers get: arrivals, prompts and clips of speech."""
