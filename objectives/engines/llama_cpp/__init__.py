"""This package knows the engine llama.cpp: its server, and the memory that it takes by its file."""
