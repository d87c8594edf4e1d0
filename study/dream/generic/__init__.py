"""This package runs a generation of an experiment whose evaluator is the user's own."""
