"""Several studies are reported here on one page."""
