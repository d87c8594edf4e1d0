"""This room takes a confirmed promotion to production and back: plan, apply, watch, roll back."""
