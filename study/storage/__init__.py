"""This package reads and writes a stored study: where it lies, what it asks, and its trials."""
