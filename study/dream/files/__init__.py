"""This package writes the files that readers of the ancestor's runner look for."""
