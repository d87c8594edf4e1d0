"""A damaged study.db is reported on, shown and gone on with, or refused in one line."""

from __future__ import annotations

import contextlib
import io
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from .campaign import commanded, mutated, mutated_json

ROOT = Path(__file__).parents[2]
OF_0_1 = ROOT / "tests/data/h100/h100_studies.db"
JSON_TABLES = (
    "study_user_attributes",
    "study_system_attributes",
    "trial_user_attributes",
    "trial_system_attributes",
)
TABLES = (*JSON_TABLES, "studies", "study_directions", "trials", "trial_params", "trial_values")
DAMAGES = (
    "DROP TABLE {table}",
    "DELETE FROM {table}",
    "DELETE FROM {table} WHERE rowid % 3 = {n} % 3",
    "UPDATE trials SET state = 'NOPE' WHERE rowid % 5 = {n} % 5",
    "UPDATE trials SET state = 'RUNNING' WHERE rowid % 5 = {n} % 5",
    "UPDATE trials SET number = number + {n}",
    "UPDATE trials SET datetime_complete = NULL, datetime_start = NULL",
    "UPDATE trials SET datetime_start = 'yesterday' WHERE rowid % 5 = {n} % 5",
    "UPDATE trial_values SET value = NULL WHERE rowid % 5 = {n} % 5",
    "UPDATE trial_values SET value = 1e308 WHERE rowid % 5 = {n} % 5",
    "UPDATE trial_values SET value = 'much' WHERE rowid % 5 = {n} % 5",
    "UPDATE trial_values SET value_type = 'INF_NEG' WHERE rowid % 5 = {n} % 5",
    "UPDATE trial_params SET param_value = 1e9 WHERE rowid % 5 = {n} % 5",
    "UPDATE trial_params SET param_value = NULL WHERE rowid % 5 = {n} % 5",
    "UPDATE trial_params SET distribution_json = '{{}}' WHERE rowid % 5 = {n} % 5",
    "UPDATE studies SET study_name = NULL",
    "UPDATE study_directions SET direction = 'MINIMIZE'",
    "DELETE FROM version_info",
    "DELETE FROM alembic_version",
    "UPDATE alembic_version SET version_num = 'v9.9.9'",
)


@cache
def replayed() -> tuple[str, bytes]:
    """Return the study that ships, as this version replays it: its name, and its study.db."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "scripts/run_study.py", "--out", folder, "--quiet"]
        subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
        (file,) = Path(folder).glob("*/study.db")
        return file.parent.name, file.read_bytes()


def attack(rng: random.Random) -> None:
    """Damage a study, and let a command look at it.

    Raises:
        AssertionError: It ends neither well nor in one line with 2 or 3.
        Exception: Whatever else a command raises.
    """
    with tempfile.TemporaryDirectory() as folder:
        name, data = replayed() if rng.random() < 0.5 else ("of_0_1", OF_0_1.read_bytes())
        file = Path(folder) / name / "study.db"
        file.parent.mkdir()
        file.write_bytes(data)
        _damage(file, rng)
        out = str(Path(folder) / "report.html")
        match rng.randrange(5):
            case 0 | 1:
                commanded("report", [str(file), "-o", out])
            case 2:
                commanded("main_effects", [str(file)])
            case 3:
                _dashboard(file)
            case _:
                commanded("run_study", ["--out", folder, "--quiet"])


def _damage(file: Path, rng: random.Random) -> None:
    match rng.randrange(10):
        case 0 | 1:
            data = file.read_bytes()
            if rng.random() < 0.5:
                file.write_bytes(mutated(data, rng))
            else:
                at = rng.randrange(len(data))
                file.write_bytes(data[:at] + rng.randbytes(1) + data[at + 1 :])
        case 2:
            file.write_bytes(
                rng.choice((b"", b"not a database", b"\0" * 8192, b"SQLite format 3\0"))
            )
        case _:
            with contextlib.closing(sqlite3.connect(file)) as opened, opened:
                for _ in range(rng.choice((1, 1, 2))):
                    with contextlib.suppress(sqlite3.Error):  # what the first damage took away
                        _change(opened, rng)


def _change(opened: sqlite3.Connection, rng: random.Random) -> None:
    if rng.random() < 0.4:
        text = rng.choice(DAMAGES).format(table=rng.choice(TABLES), n=rng.randrange(50))
        opened.execute(text)
        return
    table = rng.choice(JSON_TABLES)
    rows = opened.execute(f"SELECT rowid, value_json FROM {table}").fetchall()
    if not rows:  # the first damage took them away
        return
    row, text = rng.choice(rows)
    new = json.dumps(mutated_json(json.loads(text), rng)) if rng.random() < 0.85 else text[:-3]
    opened.execute(f"UPDATE {table} SET value_json = ? WHERE rowid = ?", (new, row))


def _dashboard(file: Path) -> None:
    from study.cli.exit_codes import exiting
    from study.dashboard.server import dashboard_of
    from study.storage.find import storage_url

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            with exiting():
                app = dashboard_of(storage_url(str(file)), lambda _: None)
                request: dict[str, Any] = {"PATH_INFO": "/api/studies"}
                setup_testing_defaults(request)  # notes and plots are written for who looks
                list(app(request, lambda *_: lambda _: None))
        except SystemExit as end:
            assert end.code in (2, 3), (end.code, output.getvalue())
