"""This room tells a study's answer in words, tables and pictures, and writes them as one page."""
