"""Server processes: started in order, supervised, blamed when they fail, and stopped for good."""
