"""Speech with known words: the clips that ship, and the words that were understood wrongly."""
