"""The headers of a model's files tell its size; nothing is loaded."""
