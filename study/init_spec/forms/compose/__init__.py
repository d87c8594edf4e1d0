"""A compose file, or a command of compose, becomes the commands of its services."""
