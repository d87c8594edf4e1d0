"""This room reads traces of real arrivals into workloads."""
