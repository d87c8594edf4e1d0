"""This package measures one trial live: all servers launched on their devices, loaded at once."""
