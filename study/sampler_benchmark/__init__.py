"""Samplers against each other: problems whose best is known, runs, statistics, tables and figures."""
