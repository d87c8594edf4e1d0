"""This package lets a service sleep until it is asked: what wakes it, and how it is watched."""
