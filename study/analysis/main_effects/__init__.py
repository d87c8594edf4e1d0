"""Main effects: which parameter of a space moves a figure, and by how much."""
