"""Server processes are started in order, supervised, blamed when they fail, and stopped."""
