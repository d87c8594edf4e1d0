"""Lanes measure on several cards at once; one driver asks, tells, scores and writes.

A lane is a process that owns one card, keeps its servers and measures there what it is told to.
"""
