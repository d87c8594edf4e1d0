"""Main effects say which parameter of a space moves a figure, and by how much."""
