"""This room reads public traces of LLM requests as they are, one file a format."""
