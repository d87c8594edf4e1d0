"""The answer of a study in words, tables and pictures, and the HTML file that has them all."""
