"""This room reads the deployment file, and makes the values that services run with."""
