"""What a model's files say of its size, read from their headers alone; nothing is loaded."""
