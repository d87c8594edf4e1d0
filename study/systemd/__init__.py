"""Where systemd is asked: units, their files, and what they run."""
