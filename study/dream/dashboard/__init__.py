"""One dashboard shows all experiments in rotation: where each stands, and every trial of each."""
