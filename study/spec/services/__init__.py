"""This package reads the services of a spec, and the devices on which they run."""
