"""What a deployment file says, and the values that services run with."""
