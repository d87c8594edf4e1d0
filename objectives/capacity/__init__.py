"""This package estimates how many users the servers can serve."""
