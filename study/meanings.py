"""Plain words for what a study writes down: failure classes, gates and figures. Pure."""

from __future__ import annotations
