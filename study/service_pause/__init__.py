"""Production units lend their GPU to a study and get it back, whatever becomes of the study."""
