"""What a person types and sees in a terminal is read and written here."""
