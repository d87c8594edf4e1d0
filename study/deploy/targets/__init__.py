"""Where values are written: systemd units, or an env file."""
