"""Checks that launches of live studies and of other cards count towards one recording.

They count once, and under the same conditions only.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from processes.commands import ROOT

import objectives
from objectives import recording
from objectives.allocation import Allocation
from objectives.errors import BadInput
from objectives.load.open_loop import GENERATOR_VERSION
from objectives.recording import read
from study.bench.launch_order import launch_key
from study.recording.export_study import first_ramp_range, gather, provenance_of
from study.recording.record import record
from study.recording.rounds import remaining, rounds
from study.spec.load import load
from study.spec.setting import conditions_of
from study.storage.attributes import IDENTITY
from study.storage.comparability import LIFETIME, ONE_TRIAL, differing_names
from study.storage.url import open_storage

SPEC = load(ROOT / "tests/specs/h100_recorded.yaml")
SHIPPED = read(Path(objectives.__file__).parent / "recordings/h100.jsonl")
STUDIES = ROOT / "tests/data/h100/h100_studies.db"


@pytest.fixture
def live():
    """Return the spec as it was when it was live; its models need not be here."""
    return replace(SPEC, measure="live")


def halves(tmp_path: Path) -> list[Path]:
    """Return the recording as its two cards made it."""
    files = []
    for card in sorted({str(e.card) for e in SHIPPED.entries}):
        own = [e for e in SHIPPED.entries if e.card == card]
        files.append(tmp_path / f"{card}.jsonl")
        recording.write(files[-1], SHIPPED.provenance, own)
    return files


def test_two_cards_become_one_recording_and_evaluations_of_one_second_stay_two(live, tmp_path):
    files = halves(tmp_path)
    both = record(live, tmp_path / "both.jsonl", 0, print, take=files)
    assert len(files) == 2
    assert len(both.entries) == len(SHIPPED.entries)
    for key in {e.key for e in both.entries}:
        repeats = [e.repeat for e in both.entries if e.key == key]
        assert repeats == list(range(1, len(repeats) + 1))
    assert not (tmp_path / "both").exists(), "nothing is launched: no folder for servers"


def test_what_is_held_is_not_taken_twice(live, tmp_path):
    held = list(SHIPPED.entries)
    assert gather([SHIPPED.path], conditions_of(live), SHIPPED.provenance, held) == held


def test_a_live_study_gives_its_launches_and_neither_copies_nor_carried_trials(live):
    entries = gather([STUDIES], conditions_of(live), SHIPPED.provenance, [])
    assert {e.card for e in entries} == {e.card for e in SHIPPED.entries}
    assert len(entries) == 18, "ten trials each, two of TPE's told from what was known"
    shipped = {(e.key, e.at, e.card): e for e in SHIPPED.entries}
    for e in entries:
        twin = shipped[e.key, e.at, e.card]
        assert (e.measurement, e.diagnosis, e.wall_s) == (
            twin.measurement,
            twin.diagnosis,
            twin.wall_s,
        )


def test_launches_count_whether_servers_were_kept_between_them_or_not(live, tmp_path):
    taken = Path(shutil.copy(STUDIES, tmp_path / "study.db"))
    storage = open_storage(f"sqlite:///{taken}")
    for name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, storage=storage)
        study.set_user_attr(IDENTITY, study.user_attrs[IDENTITY] | {LIFETIME: ONE_TRIAL})
    assert len(gather([taken], conditions_of(live), SHIPPED.provenance, [])) == 18
    study.set_user_attr(IDENTITY, study.user_attrs[IDENTITY] | {"tenants": ["another"]})
    with pytest.raises(BadInput, match="measured under other conditions: tenants; leave"):
        gather([taken], conditions_of(live), SHIPPED.provenance, [])


def test_a_live_study_becomes_a_recording_where_no_device_is(live, tmp_path):
    made = record(live, tmp_path / "made.jsonl", 0, print, take=[STUDIES])
    shipped = SHIPPED.provenance
    assert len(made.entries) == 18
    assert {card.uuid for card in made.provenance.devices} == {e.card for e in made.entries}
    assert made.provenance.device.is_like(shipped.device.product, shipped.device.total_mib)
    assert made.provenance.versions == shipped.versions
    assert not differing_names(shipped.conditions, made.provenance.conditions)
    again = record(live, tmp_path / "again.jsonl", 0, print, take=[made.path, SHIPPED.path])
    assert len(again.entries) == len(SHIPPED.entries)


def test_what_is_no_recording_is_never_written_over(live, tmp_path):
    taken = Path(shutil.copy(STUDIES, tmp_path / "study.db"))
    before = taken.read_bytes()
    with pytest.raises(BadInput, match=r"study.db names no recording; write one such as study.js"):
        record(live, taken, 0, print, take=[taken])
    assert taken.read_bytes() == before


def test_a_database_without_a_live_study_is_no_recording(live, tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    optuna.create_study(storage=storage, study_name="mine")
    with pytest.raises(BadInput, match="holds no live study"):
        record(live, tmp_path / "a.jsonl", 0, print, take=[tmp_path / "study.db"])


def test_a_failed_launch_of_a_lane_keeps_its_card(live, tmp_path):
    taken = shutil.copy(STUDIES, tmp_path / "study.db")
    with closing(sqlite3.connect(taken)) as database, database:
        database.execute(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json)"
            " SELECT trial_id, 'card', '\"GPU-lane\"' FROM trial_user_attributes"
            " WHERE key = 'failure'"
        )
    entries = gather([taken], conditions_of(live), SHIPPED.provenance, [])
    failed = [e for e in entries if e.measurement is None]
    assert failed and {e.card for e in failed} == {"GPU-lane"}
    assert "GPU-lane" not in {e.card for e in entries if e.measurement}


def test_what_is_taken_brings_the_range_of_its_ramps():
    measured = read(Path(objectives.__file__).parent / "recordings/h200.jsonl")
    assert first_ramp_range(measured.entries) == measured.provenance.ramp_range
    assert first_ramp_range(SHIPPED.entries) is None, "0.1 had no ramps"


def test_other_conditions_are_refused_by_name(live, tmp_path):
    other = replace(
        SHIPPED.provenance,
        versions={**SHIPPED.provenance.versions, "llm": {"vllm": "0.27.0"}},
    )
    with pytest.raises(BadInput, match="with other versions of the servers"):
        gather([SHIPPED.path], conditions_of(live), other, [])
    with pytest.raises(
        BadInput,
        match=r"study gpu_h100-\w+-0 in .* was measured under other conditions: server versions;",
    ):
        gather([STUDIES], conditions_of(live), other, [])
    bigger = replace(
        SHIPPED.provenance, devices=(replace(SHIPPED.provenance.device, total_mib=141_000.0),)
    )
    with pytest.raises(BadInput, match="this is NVIDIA H100 80GB HBM3 with 141,000 MiB"):
        gather([SHIPPED.path], conditions_of(live), bigger, [])


def test_what_another_load_generator_measured_is_refused(live):
    now = replace(
        SHIPPED.provenance,
        conditions={**SHIPPED.provenance.conditions, "load generator": GENERATOR_VERSION},
    )
    assert "load generator" not in SHIPPED.provenance.conditions, (
        "recorded with the first one, before it was said"
    )
    with pytest.raises(BadInput, match="recorded under other conditions: load generator;"):
        gather([SHIPPED.path], conditions_of(live), now, [])
    with pytest.raises(BadInput, match="measured under other conditions: load generator;"):
        gather([STUDIES], conditions_of(live), now, [])


def test_a_source_that_is_none_is_said(live, tmp_path):
    with pytest.raises(BadInput, match="is no file; name a recording"):
        gather([tmp_path / "study.db"], conditions_of(live), SHIPPED.provenance, [])
    with pytest.raises(BadInput, match="--repeats 0 launches nothing"):
        record(live, tmp_path / "a.jsonl", 0, print)


def test_later_rounds_of_a_part_measure_a_quarter_of_it_again(live):
    plan = list(rounds(live.search_space, live.baseline, live.services, 2, 8))
    names = [str(a) for a, _ in plan]
    first, second = (
        names[: names.index(str(live.baseline), 1)],
        names[names.index(str(live.baseline), 1) + 1 :],
    )
    assert plan[0] == (live.baseline, 1)
    assert plan[-1] == (live.baseline, 4)
    assert len(set(first[1:])) in (7, 8), "the baseline may be one of them"
    assert set(second[1:-1]) <= set(first)
    assert len(second[1:-1]) == 2


def test_parts_share_the_points_and_no_llm_command_but_the_baselines(live):
    whole = {str(a) for a, _ in rounds(live.search_space, live.baseline, live.services, 1, 12)}
    parts = [
        list(rounds(live.search_space, live.baseline, live.services, 1, 12, (i, 2))) for i in (1, 2)
    ]
    assert [part[0] for part in parts] == [(live.baseline, 1)] * 2
    named = [{str(a) for a, _ in part} for part in parts]
    assert named[0] | named[1] == whole
    assert named[0] & named[1] == {str(live.baseline)}
    commands = [{launch_key(live.services, a) for a, _ in part[1:-1]} for part in parts]
    assert not commands[0] & commands[1]


def test_another_card_measures_the_baseline_before_it_goes_on(live):
    planned = list(rounds(live.search_space, live.baseline, live.services, 1, 8))
    began = [
        e for e in SHIPPED.entries if (e.key, e.repeat) in {(str(a), n) for a, n in planned[:3]}
    ][:3]
    (card,) = {e.card for e in began}
    assert remaining(planned, began, live.baseline, card) == planned[3:], (
        "its own card just goes on"
    )
    assert remaining(planned, began, live.baseline, "another") == [(live.baseline, 3), *planned[3:]]
    assert remaining(planned, [], live.baseline, card) == planned, (
        "nothing is there: it begins with the baseline anyway"
    )
    assert remaining(planned[:3], began, live.baseline, "another") == [], (
        "nothing is left to measure on it"
    )


def test_what_is_recorded_is_known_again_whatever_the_order_of_its_values(live):
    wide = read(Path(objectives.__file__).parent / "recordings/h100_wide.jsonl")
    values = wide.entries[1].values
    assert list(values) != sorted(values, reverse=True)
    assert (
        str(Allocation(values))
        == str(Allocation(dict(sorted(values.items(), reverse=True))))
        == wide.entries[1].key
    )
    done = [
        (Allocation(dict(sorted(e.values.items(), reverse=True))), e.repeat) for e in wide.entries
    ]
    assert remaining(done, wide.entries, done[0][0], str(wide.entries[0].card)) == []
    assert {launch_key(live.services, a) for a, _ in done} == {
        launch_key(live.services, Allocation(e.values)) for e in wide.entries
    }


def test_the_wide_recording_has_every_launch_once_under_its_own_number():
    wide = read(Path(objectives.__file__).parent / "recordings/h100_wide.jsonl")
    launches = [(e.key, e.repeat) for e in wide.entries]
    assert len(set(launches)) == len(launches) == 63
    assert len({e.key for e in wide.entries}) == 41
    assert wide.provenance.conditions["load generator"] == GENERATOR_VERSION


def test_a_database_without_tables_gets_none(tmp_path):
    empty = tmp_path / "z.db"
    empty.touch()
    with pytest.raises(BadInput, match="holds no study of this project; name the storage of one"):
        provenance_of(empty)
    assert empty.stat().st_size == 0


def test_a_live_study_that_measured_nothing_is_left_out_and_alone_refused(tmp_path):
    database = tmp_path / "studies.db"
    shutil.copy(STUDIES, database)
    whole = provenance_of(database)
    storage = open_storage(f"sqlite:///{database}")
    names = optuna.get_all_study_names(storage)
    with closing(sqlite3.connect(database)) as connection:
        forget = (
            "DELETE FROM study_user_attributes WHERE key IN ('device', 'cards') AND study_id = "
        )
        connection.execute(
            forget + "(SELECT study_id FROM studies WHERE study_name = ?)", names[:1]
        )
        connection.commit()
        assert provenance_of(database).devices == whole.devices[1:]
        connection.execute("DELETE FROM study_user_attributes WHERE key IN ('device', 'cards')")
        connection.commit()
    with pytest.raises(BadInput, match="its live studies have measured nothing yet; leave it out"):
        provenance_of(database)
