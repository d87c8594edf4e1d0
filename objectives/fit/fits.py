"""Arithmetic says before a launch whether an allocation fits its device, in one of these words."""

from __future__ import annotations

from enum import StrEnum


class Fits(StrEnum):
    """It fits, or this is why not."""

    FITS = "fits"  # by the study's own starts
    STARTS = "starts"  # by the models' files
    PREDICTED_OOM = "predicted_oom"
    PREDICTED_KV_TOO_SMALL = "predicted_kv_too_small"
    UNKNOWN = "unknown"

    @property
    def is_ruled_out(self) -> bool:
        """Return whether it does not fit, so that no launch is needed to know."""
        return self in (Fits.PREDICTED_OOM, Fits.PREDICTED_KV_TOO_SMALL)
