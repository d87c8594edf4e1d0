"""The watch finds new confirmed promotions and drift, and applies only where it is allowed to."""
