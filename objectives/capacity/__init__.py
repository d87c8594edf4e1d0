"""How many users the servers can serve."""
