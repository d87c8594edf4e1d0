"""Show the study that ships, as pages and notebooks need it."""
