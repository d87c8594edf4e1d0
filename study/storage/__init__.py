"""A study as it is stored: where it lies, what it asked, and its trials."""
