"""Is a study's winner really better? Baseline and winner launched afresh in turn, and what may be said of it."""
