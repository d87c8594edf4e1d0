"""Each module knows one engine: its command line, its readiness and its metrics."""
