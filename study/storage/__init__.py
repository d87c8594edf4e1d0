"""Read and write a study as it is stored: where it lies, what it asks, and its trials."""
