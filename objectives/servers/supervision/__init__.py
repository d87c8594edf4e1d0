"""Nothing of a server outlives its study: a supervisor ends it, and a guard what it left."""
