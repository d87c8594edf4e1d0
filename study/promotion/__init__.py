"""This room writes the promotion file, and seals and verifies it."""
