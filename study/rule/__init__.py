"""This room holds the rule by which one allocation is better than another; pure, no sentence."""
