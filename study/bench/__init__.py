"""Provides what figures come from, this machine or a recording, and who may use it now."""
