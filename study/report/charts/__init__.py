"""Collect what the pictures of a study show, and draw them as SVG text."""
