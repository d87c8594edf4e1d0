"""What is told before anything is launched."""
