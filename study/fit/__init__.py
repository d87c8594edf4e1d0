"""What of a spec's space would fit, by the files of its models."""
