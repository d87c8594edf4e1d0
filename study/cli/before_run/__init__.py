"""This package says what is known before anything is launched."""
