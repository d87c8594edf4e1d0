"""Lanes on the machines of a Ray cluster have a transport of their own in place of pipes.

Ray gives the cards and carries the bytes; who is lost and what is tried again the driver decides.
"""
