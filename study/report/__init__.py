"""Tell a study's answer in words, tables and pictures, and write all of them as one HTML file."""
