"""This module reads the tables of pages."""

from __future__ import annotations


def rows_of(page: str) -> list[list[str]]:
    """Return the cells of every line of a page that is one of a table, heads among them."""
    lines = (line for line in page.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
