"""Cards of this machine, and its cores, are shared out among lanes."""
