"""Lanes on the machines of a Ray cluster: one other transport beside the pipes of this machine.

Ray gives the cards and carries the bytes; who is lost and what is tried again the driver decides.
"""
