"""This room judges the pairs of a confirmation: gains, statistics, findings and the verdict."""
