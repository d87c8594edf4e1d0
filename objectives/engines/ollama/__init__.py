"""Ollama: its server."""
