"""Plain data is read back by its types, held to ranges, and written to files whole."""
