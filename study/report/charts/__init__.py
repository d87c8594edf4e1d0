"""This room collects what the pictures of a study show, and draws them as SVG text."""
