"""Every view says the same of a configuration that scores best and may not be promoted."""

from __future__ import annotations

from pathlib import Path

from made.factories import Outcome, make, measurement, write_spec
from processes.commands import run_study

from study.analysis.configurations import configuration_of
from study.dashboard.notes import trial_note
from study.report.html import html
from study.report.summary import summary
from study.report.trial_words import configurations_table
from study.storage.find import study_in


def cells(share: float, size: str) -> Outcome:
    """Return an outcome in which a greater share uses more of the memory and gains nothing."""
    return measurement(own_memory_pct=70.0 if share > 0.5 else 20.0)


def test_a_leader_without_a_leading_term_is_held_back_in_terminal_report_and_notes(
    tmp_path: Path,
) -> None:
    make(tmp_path, cells)
    space = {"vllm_memory_util": [0.5, 0.55], "whisper_model_size": ["base"]}
    ran = run_study(write_spec(tmp_path, search_space=space), "--out", tmp_path / "out")
    assert "Scored higher, but held back: 55 % + base: it leads by efficiency" in ran.stdout
    it = summary(study_in(f"sqlite:///{tmp_path}/out/made/study.db"))
    assert '<th scope="col">held back:<br>55 % + base</th>' in html(it)
    assert "held back: it leads by efficiency" in configurations_table(it)
    (leader,) = [t for t in it.trials if t.allocation.share == 0.55][:1]
    assert "**held back**" in trial_note(
        leader, configuration_of(leader.allocation, it.configurations), it
    )
