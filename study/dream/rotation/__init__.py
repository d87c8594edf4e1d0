"""Decide whose turn it is, start and end turns, and keep what the next process needs to go on."""
