"""What a study shows: its configurations, what is eligible for promotion, and the decision."""
