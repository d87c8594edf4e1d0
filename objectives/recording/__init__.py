"""A recording holds earlier measurements with their provenance, replayed as if they were live."""

from objectives.recording.file import entry, read, write
from objectives.recording.recording import Entry, Provenance, Recording

__all__ = ["Entry", "Provenance", "Recording", "entry", "read", "write"]
