"""From the units that run today to a study spec and a deployment file, so that a user starts from their own system."""
