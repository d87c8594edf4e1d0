"""llama.cpp: its server, and what that takes by its file."""
