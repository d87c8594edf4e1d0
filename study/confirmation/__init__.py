"""This room confirms a study's winner: it launches baseline and winner in turn and judges them."""
