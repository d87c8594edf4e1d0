"""This room writes values to where services read them: systemd units, or an env file."""
