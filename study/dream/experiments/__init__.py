"""Read a D-REAM file: what holds for the whole of it, and each experiment of its list."""
