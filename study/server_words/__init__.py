"""The words of a command tell which server they start, and what of this machine it sees."""
