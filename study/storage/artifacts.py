"""The files of a trial, kept with it as artifacts: logs, metrics, memory by second."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact

from objectives.measurement import plain

ATTACHMENTS = "attachments"  # their folder, beside study.db
LOGS = ("llm.log", "stt.log", "replies.jsonl")


def store(folder: Path) -> FileSystemArtifactStore:
    """Where the files of a study's trials lie; `folder` holds its study.db."""
    (folder / ATTACHMENTS).mkdir(parents=True, exist_ok=True)
    return FileSystemArtifactStore(folder / ATTACHMENTS)


def attach(trial: optuna.Trial, folder: Path, logs: Path, figures: Mapping[str, Any]) -> None:
    """Keep a trial's logs, metrics and memory timeline with it; to be called before it is told.

    folder: holds the study.db; logs: of this trial, where it launched something
    """
    kept = store(folder)
    with TemporaryDirectory() as made:
        files = [logs / name for name in LOGS if (logs / name).is_file()]
        files.append(Path(made) / "metrics.json")
        used_mib = figures.get("used_mib_by_s") or ()
        shown = {k: v for k, v in figures.items() if k != "used_mib_by_s" and v is not None}
        files[-1].write_text(json.dumps(plain(shown), indent=1, sort_keys=True), "utf-8")
        if used_mib:
            files.append(Path(made) / "memory.csv")
            with files[-1].open("w", newline="") as out:
                csv.writer(out).writerows([("second", "used_mib"), *enumerate(used_mib)])
        for file in files:
            upload_artifact(artifact_store=kept, file_path=str(file), study_or_trial=trial)
