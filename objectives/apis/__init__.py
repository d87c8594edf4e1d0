"""Each module writes the requests of one API and reads its answers."""
