"""This package captures live traffic: its arrivals and lengths, never its contents."""
