"""This package runs the experiments of a D-REAM file in rotation, each in a process of its own."""
