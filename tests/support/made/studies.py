"""This module makes finished studies once a session, and copies one where a test writes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from fcntl import LOCK_EX, flock
from pathlib import Path

import yaml
from made.factories import changed, make, timed
from processes.commands import ROOT, process, run_study

from objectives.recording import read, write
from study.promotion import seal

WIDE = "study/specs/h100_wide_recorded.yaml"


@dataclass(frozen=True, slots=True)
class Shared:
    """The studies of this session are made by whichever parallel worker comes to one first.

    Args:
        root: A folder that all workers share.
    """

    root: Path

    def folder(self, name: str, build: Callable[[Path], object]) -> Path:
        """Return the folder of this name, to be read only; `build` fills it once."""
        folder, done = self.root / name, self.root / f"{name}.made"
        with (self.root / f"{name}.lock").open("w") as lock:
            flock(lock, LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                build(folder)
                done.touch()
        return folder

    def finished(self) -> Path:
        """Return the made-up study, replayed by default; `said.txt` is what the command printed."""
        return self.folder("finished", lambda folder: _run_made(folder, make(folder)))

    def pictured(self) -> Path:
        """Return the made-up study with all that pictures show, each recorded once."""
        return self.folder(
            "pictured", lambda folder: _run_made(folder, make(folder, timed, repeats=1))
        )

    def shipped(self) -> Path:
        """Return the study that ships, as the real command without arguments replays it."""
        return self.folder("shipped", _real)

    def wide(self) -> Path:
        """Return the wide recording that ships, replayed whole by the real command."""
        return self.folder("wide", lambda folder: _real(folder, str(ROOT / WIDE), "--json"))

    def studied(self, repeats: int, extra_baselines: int = 0) -> Path:
        """Return a made-up study whose launches differ a little."""
        name = f"studied-{repeats}-{extra_baselines}"
        return self.folder(name, lambda folder: _studied(folder, repeats, extra_baselines))


def copied(source: Path, folder: Path) -> Path:
    """Copy a finished study, which then names itself wherever it names a path."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    for database in folder.rglob("study.db"):
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "UPDATE study_user_attributes SET value_json = replace(value_json, ?, ?)",
                (f"{source}/", f"{folder}/"),
            )
    for promotion in folder.rglob("promotions/*.yaml"):
        text = promotion.read_text()
        if f"{source}/" in text:
            seal.put(yaml.safe_load(text.replace(f"{source}/", f"{folder}/")), promotion)
    return folder


def promotion_in(folder: Path) -> Path:
    """Return the promotion of a made-up study."""
    (path,) = (folder / "out/made/promotions").glob("*.yaml")
    return path


def _run_made(folder: Path, spec: Path) -> None:
    ran = run_study(spec, "--out", folder / "out")
    assert (ran.returncode, ran.stderr) == (0, "")
    (folder / "said.txt").write_text(ran.stdout)


def _real(folder: Path, *arguments: str) -> None:
    ran = process("run_study.py", *arguments, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert "Warning" not in ran.stderr
    (folder / "said.txt").write_text(ran.stdout)


def _studied(folder: Path, repeats: int, extra_baselines: int) -> None:
    spec = make(folder, repeats=repeats + extra_baselines)
    file = folder / "made.jsonl"
    recording = read(file)
    entries = []
    for e in recording.entries:
        if e.repeat > repeats and (
            e.values["vllm_memory_util"],
            e.values["whisper_model_size"],
        ) != (0.5, "base"):
            continue
        m = e.measurement
        if m is not None and m.figure("llm_latency_p95_ms") and m.figure("llm_latency_ms"):
            better = 1.25 - 0.5 * float(e.values["vllm_memory_util"]) + e.repeat % 3 / 100
            m = changed(
                m,
                llm_latency_ms=m.figure("llm_latency_ms") * better,
                llm_start_s=40.0,
                stt_start_s=2.0,
            )
        entries.append(
            replace(e, measurement=m, at=f"2026-11-20T1{e.repeat % 10}:{len(entries) % 60:02}:00")
        )
    write(file, recording.provenance, entries)
    _run_made(folder, spec)
