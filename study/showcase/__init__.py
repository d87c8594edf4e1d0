"""This package shows the study that ships, and the comparison of samplers, in pages, notebooks."""
