"""This package has the words of people for what a study writes down."""
