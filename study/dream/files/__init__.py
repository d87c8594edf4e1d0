"""Write the files that readers of the ancestor's runner look for."""
