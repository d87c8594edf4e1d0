"""A look at a unit reads its own files and its processes, and says what it could not see."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from study.systemd import units
from study.systemd.unit_look import Look, look

TEXT = """[Service]
Environment="KEEP=1m" SHARE=0.5
EnvironmentFile={folder}/own.env
ExecStart={start}
"""


def looked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, pid: int = 0, load: str = "loaded", start: str
) -> Look | None:
    """Look at a unit whose file and variables lie in a folder."""
    file = folder / "a.service"
    file.write_text(TEXT.format(folder=folder, start=start))
    unit = units.Unit(
        name="a.service",
        load=load,
        active="active" if pid else "inactive",
        main_pid=pid,
        restarts=0,
        invocation="",
        result="",
        files=(file,),
        drop_ins=(),
        restart="no",
        start_timeout_s=1.0,
        env_files=(folder / "own.env", folder / "gone.env"),
        dependents=(),
    )
    monkeypatch.setattr(units, "unit", lambda _: unit)
    return look("a.service")


def test_its_variables_are_those_of_its_lines_its_files_and_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.env").write_text("SHARE=0.6\n")
    seen = looked(tmp_path, monkeypatch, start="/usr/bin/env MODE=1 serve --x=2")
    assert seen is not None and seen.env == {"KEEP": "1m", "SHARE": "0.6", "MODE": "1"}
    assert seen.commands == (("/usr/bin/env", "MODE=1", "serve", "--x=2"),)
    assert not seen.is_whole  # nothing of it runs


def test_its_processes_are_seen_but_not_into_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tuple(Path("/proc/self/cmdline").read_text().rstrip("\0").split("\0"))
    seen = looked(tmp_path, monkeypatch, pid=os.getpid(), start="run.sh")
    assert seen is not None and seen.is_whole and own in seen.commands
    inside = looked(tmp_path, monkeypatch, pid=os.getpid(), start="/usr/bin/docker run image")
    assert inside is not None and not inside.is_whole


def test_a_unit_that_is_not_there_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert looked(tmp_path, monkeypatch, load="not-found", start="x") is None
