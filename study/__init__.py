"""Searches for the best allocation, decides whether it wins, and takes it to production."""
