"""This room writes a study spec and a deployment file from the units that run today."""
