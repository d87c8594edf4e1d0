"""This room reads what a server is told by its words: model, memory, port, flags to keep."""
