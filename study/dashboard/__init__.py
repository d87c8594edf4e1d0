"""This room serves optuna-dashboard with the notes and plots of this project."""
