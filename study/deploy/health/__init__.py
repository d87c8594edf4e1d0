"""This room tells whether production is well: probes, gates, the soak, and what runs."""
