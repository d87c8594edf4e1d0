"""Who may run when, beside whom and for how long: all of it pure, but for the files of state."""
