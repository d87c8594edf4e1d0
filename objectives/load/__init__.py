"""This package sends requests on time and collects what comes back."""
