"""This room measures a confirmation on this machine: on one card, or on several at once."""
