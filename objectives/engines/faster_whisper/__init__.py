"""faster-whisper: our server on it, and what that takes."""
