"""Sets of cards, each for a lane: how they are put together, and what measures on them.

Lanes, servers and loads are real processes; cards are of numbers.
"""

import pytest
from fake_cards.cards_here import interpreted, spec_of_two, with_cards
from fake_cards.fake_lane import FOUR
from processes.commands import run_script

from objectives.allocation import Allocation
from objectives.devices.device import Identity
from objectives.errors import SetupError
from objectives.measurement import DeviceFigures, Measurement
from objectives.recording import read
from study.bench.device_lock import sole_use
from study.lanes.cards.sets import on_cards, put_together
from study.lanes.process.program import as_here
from study.spec.load import load
from study.storage.find import study_in
from study.storage.trial import BRIDGE
from study.storage.trials import counted

pytestmark = pytest.mark.usefixtures("forked")
AB, CD = "GPU-a GPU-b", "GPU-c GPU-d"


@pytest.fixture(autouse=True)
def cards(monkeypatch):
    with_cards(monkeypatch, FOUR)


def card(uuid, product="A"):
    return Identity(product, uuid, 12_000.0, "580.1", "13.0")


A, B, C, D, E = (card(letter) for letter in "abcde")
OLD_C, OLD_D = card("c", "B"), card("d", "B")


@pytest.mark.parametrize(
    ("cards", "own", "near", "sets", "left"),
    [
        ([A, B, C, D], (), {}, ["ab", "cd"], ""),
        ([A, B, C, D, E], (), {}, ["ab", "cd"], "e"),
        ([A, B, C, D], (D, A), {}, ["da", "bc"], ""),  # names as the spec has them
        ([A, B, OLD_C, OLD_D], (A, OLD_C), {}, ["ac", "bd"], ""),
        ([A, OLD_C, B, OLD_D, E], (), {}, ["ab"], "cde"),
        ([A, B, C, D], (), {"a": 0, "b": 1, "c": 0, "d": 1}, ["ac", "bd"], ""),
        ([A, OLD_C], (), {}, [], "ac"),
        ([A, OLD_C], (OLD_C, A), {}, ["ca"], ""),
    ],
)
def test_cards_are_put_together_by_product_then_by_node_in_their_order(
    cards, own, near, sets, left
):
    made_sets, over = put_together(cards, own, 2, near.get)
    assert ["".join(c.uuid for c in of) for of in made_sets] == sets
    assert "".join(c.uuid for c in over) == left


def test_what_another_set_measured_counts_for_the_card_of_the_same_name_here():
    totals = {"GPU-c": 12_000.0, "GPU-d": 8_000.0}
    devices = {uuid: DeviceFigures(device_total_mib=total) for uuid, total in totals.items()}
    there = Allocation({"vllm_memory_util": 0.5}), Measurement(devices=devices)
    [(_, here)] = as_here([there], AB)
    assert {u: d.device_total_mib for u, d in here.devices.items()} == {
        "GPU-a": 12_000.0,
        "GPU-b": 8_000.0,
    }


def run(spec, *more, devices="all"):
    return run_script(
        "run_study.py", spec, "--devices", devices, "--out", spec.parent / "out", *more
    )


def study_of(spec):
    return study_in(f"sqlite:///{spec.parent}/out/made/study.db")


def test_a_study_on_two_sets_measures_memory_of_each_card_and_goes_on_in_another_order(tmp_path):
    spec = spec_of_two(tmp_path)
    six = spec.read_text().replace("  - 0.02\n", "  - 0.014\n  - 0.018\n  - 0.022\n  - 0.026\n")
    spec.write_text(six)
    first = run(spec, "--n-trials", "3")
    assert first.returncode == 0, first.stderr
    again = run(spec, "--n-trials", "7", devices="GPU-d,GPU-b,0,GPU-c")
    assert again.returncode == 0, again.stderr
    lane_lines = [
        [x for x in s.stdout.splitlines() if x.startswith("lane: ")] for s in (first, again)
    ]
    assert lane_lines[0] == lane_lines[1] and lane_lines[0][0].startswith(f"lane: {AB}, core")
    begun = [line.split()[-1] for line in again.stdout.splitlines() if " begins on " in line]
    assert {*begun} == {"GPU-a+b", "GPU-c+d"}
    lanes = {p.name for p in (tmp_path / "out/made/lanes").iterdir()}
    assert lanes == {"GPU-a+GPU-b", "GPU-c+GPU-d"}
    study = study_of(spec)
    measured = [t.measurement for t in counted(study)]
    assert {m.measured_on for m in measured} == {AB, CD}
    for m in measured:
        assert all(own.free_memory_mib is not None for own in m.devices.values())
    assert len([t for t in study.get_trials() if t.user_attrs.get("role") == BRIDGE]) == 1
    assert study.user_attrs["cards"] == {AB: "580.1", CD: "580.1"}
    out, taken = tmp_path / "made.jsonl", tmp_path / "out/made/study.db"
    recorded = run_script("record.py", spec, "--repeats", "1", "--take", taken, "--out", out)
    assert recorded.returncode == 0, recorded.stderr
    launched = {(str(t.allocation), t.at, t.measurement.measured_on) for t in counted(study)}
    assert launched <= {(e.key, e.at, e.card) for e in read(out).entries}


def test_the_dry_run_says_which_cards_a_lane_has_and_which_are_left_idle(tmp_path):
    spec = spec_of_two(tmp_path, "{gpu0: GPU-b, gpu1: GPU-d}")
    foretold = run(spec, "--dry-run", devices="0,1,3")
    assert foretold.returncode == 0, foretold.stderr
    lines = foretold.stdout.splitlines()
    at = lines.index("each trial has 2 GPUs (gpu0, gpu1); 1 lane:")
    assert lines[at + 1 : at + 3] == [
        "  gpu0 GPU-b, gpu1 GPU-d",
        "  left idle: GPU-a (Made-up card), with which no further set is made",
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("named", "devices", "code", "words"),
    [
        ("{gpu0: 0, gpu1: 1}", "2", 3, "needs 2 GPUs (gpu0, gpu1) of one product, and --devices"),
        ("{gpu0: 0, gpu1: 1}", "0,GPU-other", 3, "names GPU-a (Made-up card), GPU-other (Another)"),
        ("{gpu0: 0, gpu1: 1}", "1,0,GPU-b", 2, "--devices names GPU-b twice, once as '1'"),
        ("{gpu0: 0, gpu1: 1, cpu: }", "all", 2, "the host's own memory is one device"),
    ],
)
def test_cards_that_make_no_lanes_are_refused_in_a_line(tmp_path, named, devices, code, words):
    refused = run(spec_of_two(tmp_path, named), devices=devices)
    assert refused.returncode == code and words in refused.stderr, refused.stderr
    assert refused.stderr.count("\n") == 1


def test_an_llm_on_two_cards_is_given_no_slices(tmp_path):
    path = spec_of_two(tmp_path)
    slices = ["MIG-12", "MIG-34"]
    assert on_cards(load(path), slices).devices == {"gpu0": "MIG-12", "gpu1": "MIG-34"}
    path.write_text(path.read_text().replace("\n  llm:\n", "\n  llm:\n    place: gpu0+gpu1\n"))
    with pytest.raises(SetupError, match=r"MIG-12 is a MIG slice, .* is on gpu0\+gpu1; measure"):
        on_cards(load(path), slices)


def test_a_card_in_use_is_named_and_the_others_are_locked_no_more(tmp_path):
    spec = spec_of_two(tmp_path)
    with sole_use("GPU-c"):
        refused = run(spec)
        assert refused.returncode == 3 and "the device GPU-c is in use" in refused.stderr
        assert "or name others with --devices" in refused.stderr
        with sole_use("GPU-a"), sole_use("GPU-b"), sole_use("GPU-d"):
            pass
        words = ("run_study.py", spec, "--devices", "0,1,3", "--n-trials", "1", "--out", "out")
        others = interpreted(tmp_path, *words)
    assert others.returncode == 0, others.stderr
    assert [t.measurement.measured_on for t in counted(study_of(spec))] == [AB]


def test_a_recording_of_two_sets_has_the_baseline_of_each(tmp_path):
    spec, out = spec_of_two(tmp_path), tmp_path / "made.jsonl"
    recorded = run_script("record.py", spec, "--devices", "all", "--repeats", "1", "--out", out)
    assert recorded.returncode == 0, recorded.stderr
    entries = read(out).entries
    assert {e.card for e in entries if e.key == entries[0].key} == {AB, CD}
    assert {e.measurement.measured_on for e in entries} == {AB, CD}
