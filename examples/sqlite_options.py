"""Tune a real thing: the options with which SQLite loads and searches real text fastest.

The text is the source of Python's own standard library, which is on every machine that runs this.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILES = 12
WORDS = ("import", "raise", "lambda", "yield", "async")


def lines() -> Iterator[tuple[str, int, str]]:
    """Yield file, number and text of each line."""
    for path in sorted(Path(json.__file__).parents[1].glob("*.py"))[:FILES]:
        text = path.read_text("utf-8", errors="replace")
        yield from ((path.name, n, line) for n, line in enumerate(text.splitlines(), 1))


def evaluate(candidate: dict[str, Any]) -> dict[str, Any]:
    """Load the lines into a new database with these options, and search them."""
    rows = list(lines())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lines.db"
        database = sqlite3.connect(file, isolation_level=None)
        database.execute(f"PRAGMA page_size = {int(candidate['page_size'])}")
        database.execute(f"PRAGMA journal_mode = {candidate['journal_mode']}")
        database.execute(f"PRAGMA cache_size = {-int(candidate['cache_kib'])}")
        began = time.perf_counter()
        database.execute("CREATE TABLE line (file TEXT, number INT, text TEXT)")
        step = int(candidate["rows_per_commit"])
        for start in range(0, len(rows), step):
            database.execute("BEGIN")
            database.executemany("INSERT INTO line VALUES (?, ?, ?)", rows[start : start + step])
            database.execute("COMMIT")
        loaded = time.perf_counter()
        for word in WORDS:
            query = "SELECT count(*) FROM line WHERE text LIKE ?"
            database.execute(query, (f"%{word}%",)).fetchone()
        searched = time.perf_counter()
        database.close()
        return {
            "load_ms": 1000 * (loaded - began),
            "search_ms": 1000 * (searched - loaded),
            "size_kib": file.stat().st_size / 1024,
            "rows": len(rows),
        }
