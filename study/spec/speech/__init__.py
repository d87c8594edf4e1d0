"""This package reads which speech a study sends, and which it counts the words of."""
