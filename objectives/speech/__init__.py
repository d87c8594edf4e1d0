"""This package holds the clips that ship, and counts the words that were understood wrongly."""
