"""The search: which allocation to measure next, which one won, and how it is promoted."""
