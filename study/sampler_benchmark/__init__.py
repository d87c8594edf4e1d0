"""This room compares samplers: problems with a known best, runs, statistics, tables, figures."""
