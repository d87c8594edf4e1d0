"""The analysis of a study gives its configurations, what may be promoted, and the decision."""
