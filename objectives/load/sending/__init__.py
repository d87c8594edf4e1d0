"""What is here runs in a process of its own: it sends turns on time and reads the answers."""
