"""The spec, or files that its command names, say what a service beside a voice turn takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from objectives.plain_data.units import MIB
from objectives.services import OtherService

MODEL = ("-m", "--model", "--model-id", "--model-path", "--model_path", "--model-name-or-path")
WEIGHTS = ("safetensors", "gguf", "onnx", "bin", "pt")  # of several kinds one is loaded
KNOWN_SLACK = 0.1  # of what the files say of a process
SHARE_SLACK_MIB = 400.0  # of what the processes of a server take beyond its share


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """A memory need is what a service takes of its device.

    Args:
        service: Its name.
        mib: What is known of it, MiB; None where nothing is.
        is_whole: Whether that is all of it; the weights alone are not.
        off_mib: How far off that may be, MiB; None: by a tenth.
    """

    service: str
    mib: float | None
    is_whole: bool
    off_mib: float | None = None

    @property
    def slack_mib(self) -> float:
        """Return how far off it may be, MiB; what is not known is in no sum."""
        if self.off_mib is not None:
            return self.off_mib
        return KNOWN_SLACK * (self.mib or 0.0) if self.is_whole else 0.0

    @property
    def unknown(self) -> str:
        """Return in a sentence what is not known of it; empty where all is."""
        if self.is_whole:
            return ""
        what = "takes" if self.mib is None else f"takes beside weights of {self.mib:,.0f} MiB"
        return f"what {self.service} {what} is not known: `services.{self.service}.memory_mib`"


def memory_need(
    name: str, service: OtherService, argv: Sequence[str], folders: Sequence[Path]
) -> MemoryNeed:
    """Return what a service beside the turn takes.

    Args:
        name: Its name.
        service: What the spec says of it.
        argv: Its command.
        folders: Where a model that the command names is looked for.
    """
    if service.memory_mib is not None:
        return MemoryNeed(name, float(service.memory_mib), is_whole=True)
    named = next((following for word, following in pairwise(argv) if word in MODEL), None)
    sizes = [_weights(folder / named) for folder in folders] if named else []
    size = next((size for size in sizes if size), None)
    return MemoryNeed(name, None if size is None else size / MIB, is_whole=False)


def _weights(path: Path) -> int:
    """Return the bytes of the weights in a file or folder; 0 where there are none."""
    try:
        if path.is_file():
            return path.stat().st_size
        for kind in WEIGHTS:
            files = [f for f in path.glob(f"*.{kind}") if f.is_file()]
            if files:
                return sum(f.stat().st_size for f in files)
    except OSError:
        return 0
    return 0
