"""The promotion of a generic experiment is its best candidate, for a person to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from objectives.plain_data.atomic import write_atomic
from study.dream.records import Record, best_of
from study.promotion.status import OF_EXPERIMENT


def write_generic_promotion(
    root: Path, slug: str, name: str, records: Sequence[Record], reference: Mapping[str, Any]
) -> Path | None:
    """Write the best candidate, never over an older file; return the file.

    It is None where nothing is better than what the experiment began with.
    """
    best = best_of(records)
    if best is None or best.fitness <= 0:
        return None
    data = {
        "kind": OF_EXPERIMENT,
        "status": "candidate",
        "note": "the best of one experiment, which is not proof",
        "experiment": name,
        "parameters": dict(best.params),
        "fitness": best.fitness,
        "evaluations": best.count,
        "metrics": dict(best.figures),
        "reference_metrics": dict(reference),
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    folder = root / "promotions"
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    while (path := folder / f"{slug}_{now:%Y%m%d_%H%M%S}.yaml").exists():
        now += timedelta(seconds=1)
    write_atomic(path, yaml.safe_dump(_plain(data), sort_keys=False, allow_unicode=True))
    return path


def _plain(data: Any) -> Any:
    """Return what YAML can hold: the figures come from JSON, so only numbers beyond it are odd."""
    match data:
        case dict():
            return {str(k): _plain(v) for k, v in data.items()}
        case list() | tuple():
            return [_plain(v) for v in data]
    return data
