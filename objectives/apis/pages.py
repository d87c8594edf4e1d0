"""A server tells of itself on pages of its own, as text or as JSON."""

from __future__ import annotations

from typing import Any

from objectives.apis.api import parsed
from objectives.apis.short_requests import page


def engine_page(url: str, path: str | None) -> str:
    """Return a page on which a server tells of itself; empty where it has none."""
    return page(None if path is None else url + path, within_s=10) or ""


def page_data(page: str) -> Any:
    """Return what the JSON of a page says; None where it is none."""
    try:
        return parsed(page.encode())
    except ValueError:
        return None
