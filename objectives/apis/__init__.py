"""What is asked of a server and how its answer is read, an API a file."""
