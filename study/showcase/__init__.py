"""Show the study that ships, and the comparison of samplers, as pages and notebooks need it."""
