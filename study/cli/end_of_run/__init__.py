"""This package shows what a run came to: the answer, and what to type next."""
