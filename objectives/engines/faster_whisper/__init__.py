"""This package knows the engine faster-whisper: our server on it, and the memory that it takes."""
