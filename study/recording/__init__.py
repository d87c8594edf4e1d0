"""A recording is measured over a whole space, or taken from studies."""
