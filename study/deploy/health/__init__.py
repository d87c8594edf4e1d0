"""Whether production is well: probes, gates, the soak, and what runs."""
