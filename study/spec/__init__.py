"""The YAML file of a study is read and validated here, and kept as data."""
