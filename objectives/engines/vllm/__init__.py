"""The engine vLLM: how it serves each kind of model, and what its flags do to its memory."""
