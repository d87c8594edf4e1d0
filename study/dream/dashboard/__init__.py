"""One dashboard over all experiments in rotation: where each stands, and every trial of each."""
