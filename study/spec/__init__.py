"""The YAML file of a study: read, validated, and kept as data."""
