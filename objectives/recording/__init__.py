"""A recording holds earlier measurements with their provenance, replayed as if they were live."""

from objectives.recording.file import entry, read, write
from objectives.recording.replay import Provenance, RecordedLaunch, Recording

__all__ = ["RecordedLaunch", "Provenance", "Recording", "entry", "read", "write"]
