"""This module keeps the files of a trial with it as artifacts: logs, metrics, memory by second."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound

from objectives.diagnosis.log import read_log
from objectives.plain_data.infinity import plain
from objectives.plain_data.masked import masked
from objectives.recording.kept_replies import RAMP_FILE, WINDOW_FILE

ATTACHMENTS = "attachments"  # their folder, beside study.db
LOGS = ("*.log", WINDOW_FILE, RAMP_FILE)


class SeveralFolders(FileSystemArtifactStore):
    """These are the files of the trials of several studies, each in the folder of its study.

    Args:
        folders: The folders; what is new is written into the first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._stores = [store(folder) for folder in folders]
        super().__init__(folders[0] / ATTACHMENTS)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a file of any of them.

        Raises:
            ArtifactNotFound: None has it.
        """
        for other in self._stores[1:]:
            with suppress(ArtifactNotFound):
                return other.open_reader(artifact_id)
        return super().open_reader(artifact_id)


def store(folder: Path) -> FileSystemArtifactStore:
    """Return the store of the files of a study's trials; `folder` holds its study.db."""
    (folder / ATTACHMENTS).mkdir(parents=True, exist_ok=True)
    return FileSystemArtifactStore(folder / ATTACHMENTS)


def attach(
    trial: optuna.Trial,
    folder: Path,
    logs: Path,
    figures: Mapping[str, Any],
    used_mib_by_s: Sequence[int] = (),
) -> None:
    """Keep a trial's logs, metrics and memory timeline with it.

    It must be called before Optuna is told the trial's result.

    Args:
        trial: The trial that ran.
        folder: It holds the study.db.
        logs: The folder of this trial's logs, where it launched something.
        figures: What was measured, by flat name.
        used_mib_by_s: The device memory in use in each second, MiB.
    """
    artifacts = store(folder)
    with TemporaryDirectory() as folder_of_new:
        sources = [
            file for pattern in LOGS for file in sorted(logs.glob(pattern)) if file.is_file()
        ]
        files = [_masked_copy(f, Path(folder_of_new)) if f.suffix == ".log" else f for f in sources]
        files.append(Path(folder_of_new) / "metrics.json")
        measured = {k: v for k, v in figures.items() if v is not None}
        files[-1].write_text(json.dumps(plain(measured), indent=1, sort_keys=True), "utf-8")
        if used_mib_by_s:
            files.append(Path(folder_of_new) / "memory.csv")
            with files[-1].open("w", newline="") as out:
                csv.writer(out).writerows([("second", "used_mib"), *enumerate(used_mib_by_s)])
        for file in files:
            upload_artifact(artifact_store=artifacts, file_path=str(file), study_or_trial=trial)


def _masked_copy(file: Path, folder: Path) -> Path:
    """Return a copy of a log in a folder, without secrets; one without end is cut."""
    copy = folder / file.name
    copy.write_text(masked(read_log(file)), "utf-8")
    return copy
