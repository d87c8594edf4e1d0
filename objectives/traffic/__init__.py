"""What is sent to the servers: arrivals, prompts and clips of speech."""
