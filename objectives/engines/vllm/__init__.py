"""This package knows how vLLM serves each kind of model, and what its flags do to its memory."""
