"""A large space is told in short: the baseline first, and what others do not share with it."""

from pathlib import Path

from made.factories import roomy

import study
from study.cli.before_run.dry_run_text import forecast_in_words
from study.search.dry_run import LISTED, forecast
from study.spec.load import load
from study.spec.setting import setting_of
from study.wording.allocations import short


def test_the_plan_of_the_levers_can_be_read(tmp_path: Path) -> None:
    text = (Path(study.__file__).parent / "specs/levers.yaml").read_text()
    path = tmp_path / "levers.yaml"
    (tmp_path / "a.jsonl").touch()
    path.write_text(text.replace("measure: live", "measure: {recorded: a.jsonl}"))
    spec = load(path)
    plan = forecast(
        spec.search_space,
        spec.baseline,
        setting_of(spec),
        env={},
        rooms=roomy(12_282.0),
        measurements=[],
        done={},
        seconds_per_trial=None,
        counted=0,
        max_trials=80,
        timeout_s=28_800.0,
        replicates=True,
    )
    lines = forecast_in_words(plan)
    assert lines[0].startswith("768 configurations, ")
    assert [p.is_baseline for p in plan.prospects] == [True] + [False] * (LISTED - 1)
    assert lines[2].split("  ")[1] == "70 % + small"
    assert lines[3] == f"  {LISTED - 1} more  unknown: not measured yet: the servers are asked"
    names = [short(p.allocation, spec.baseline) for p in plan.prospects]
    assert len(set(names)) == LISTED
    assert any("enforce_eager=True" in name for name in names)
    assert all("capture" not in name for name in names if "enforce_eager=True" in name)
    assert [len(commands) for commands in plan.commands.values()] == [1, 1]
    assert lines[-1].startswith("a first answer after about 8.0 h (`--timeout 3600` ")
