"""The engine vLLM: serving an LLM, pooling a model, and what its flags do to its memory."""
