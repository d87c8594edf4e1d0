"""This room talks to systemd about units, their files and what they run."""
