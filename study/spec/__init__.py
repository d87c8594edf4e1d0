"""Reads and validates the YAML file of a study, and keeps it as data."""
