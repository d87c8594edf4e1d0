"""A schedule says who may run when, beside whom and for how long; it is pure, but for its state."""
