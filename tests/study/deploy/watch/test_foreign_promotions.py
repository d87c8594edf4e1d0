"""The watch looks at promotions of studies; those of other experiments are none of its business."""

from __future__ import annotations

from pathlib import Path

from study.deploy.watch.promotions import _is_of_experiment
from study.dream.files.promotion import write_generic_promotion
from study.dream.records import Record


def test_the_promotion_of_an_experiment_is_told_from_one_that_was_spoilt(tmp_path: Path) -> None:
    record = Record(
        number=0,
        test_id="toy-0",
        ts=1,
        params={"x": 1},
        figures={"ms": 1.0},
        canonical={},
        fitness=0.5,
        status="complete",
        study="toy",
    )
    path = write_generic_promotion(tmp_path, "toy", "spica_toy", [record], {"ms": 2.0})
    assert path is not None and _is_of_experiment(path)
    spoilt = tmp_path / "spoilt.yaml"
    spoilt.write_text("status: [")
    assert not _is_of_experiment(spoilt)
