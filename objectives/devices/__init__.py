"""The device that is shared: what it is, who holds its memory, and what is free."""
