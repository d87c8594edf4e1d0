"""This package knows the engine Ollama and its server."""
