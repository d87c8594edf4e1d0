"""This package reads what a spec says of the LLM server's memory: its share, and what beside it."""
