"""This room judges the pairs of a confirmation by the rule, and tells its verdict."""
