"""The study that ships, as pages and notebooks show it."""
