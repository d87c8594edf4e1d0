"""A recording comes back as it was written, replays what happened, and refuses anything else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made.factories import only
from made.ramps import KEPT_RANGE, kept

import objectives
from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_replies import RampReply
from objectives.capacity.ramp_replies import write as write_replies
from objectives.devices.device import Identity
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.errors import BadInput
from objectives.evaluation import Failure, Job, Outcome
from objectives.load.ramp import turn_times
from objectives.measurement import INFINITE
from objectives.recording import Provenance, entry, read, write
from objectives.recording.kept_replies import WINDOW, kept_in, leave, under
from objectives.servers.tenants import Tenant
from objectives.services import LlmService, SttService
from objectives.setting import Setting, conditions
from objectives.speech.wer import WordErrors
from objectives.traffic.workload import Workload

LOW = Allocation({"vllm_memory_util": 0.4, "whisper_model_size": "base"})
HIGH = Allocation({"vllm_memory_util": 0.6, "whisper_model_size": "base"})
GOOD = tuple(
    only(
        stt_latency_ms=float(n),
        ladder=({"sessions": 2, "passed": True},),
        word_errors=(WordErrors(n, 6),),
    )
    for n in (1, 2, 3)
)
NO_MEMORY = Failure(
    Diagnosis("oom_startup", "llm", FailurePhase.START, 137.38, "torch.OutOfMemoryError"),
    is_ruled_out=True,
    measured={"stt_start_s": 2.0},
)
NAN = float("nan")
SERVED = {"stt_latency_ms": 1.0, "llm_latency_ms": 1.0}
SERVICES = {
    "llm": LlmService(model="/models/qwen"),
    "stt": SttService(models={"base": "/models/base"}),
}


def setting(**more):
    return Setting(**{"workload": Workload(prompt_tokens=(8, 16)), "services": SERVICES, **more})


def job(seed, allocation=LOW):
    return Job(allocation, seed, Path("logs"))


@pytest.fixture
def recording(tmp_path):
    provenance = Provenance(
        devices=(Identity("A card", "GPU-1", 12_288.0, "580.1", "13.0"),),
        versions={
            "llm": {"vllm": "0.26.0", "torch": "2.13"},
            "stt": {"faster-whisper": "1.2.1", "ctranslate2": "4.8.5"},
        },
        conditions=conditions(setting()),
        started="2026-11-24T01:00:00+00:00",
        limits={"stt_latency_p95_ms": 900.0},
        ramp_range={"first_per_s": 1.0, "doubling_s": 25.0},
    )
    entries = [entry(job(n), n, 60.0 + n, Outcome(m)) for n, m in enumerate(GOOD, start=1)]
    entries += [entry(job(1, HIGH), 1, 30.0, Outcome(failure=NO_MEMORY))]
    entries = [
        replace(e, at=f"2026-11-24T0{n}:00:00+00:00") for n, e in enumerate(entries, start=1)
    ]
    write(tmp_path / "deep/card.jsonl", provenance, entries)
    again = read(tmp_path / "deep/card.jsonl")
    assert again.provenance == provenance
    assert again.entries == tuple(entries)
    return again


def test_it_comes_back_as_it_was_written_and_as_one_file(recording):
    assert [e.measurement for e in recording.cell(LOW)] == list(GOOD)
    assert [p.name for p in recording.path.parent.iterdir()] == ["card.jsonl"]
    assert len(recording.path.read_text().splitlines()) == 5


def test_every_device_comes_back(recording, tmp_path):
    second = replace(recording.provenance.device, uuid="GPU-2", driver="590.2")
    other = replace(recording.provenance, devices=(second,))
    provenance = recording.provenance.with_devices(other, other)
    write(tmp_path / "a.jsonl", provenance, recording.entries)
    again = read(tmp_path / "a.jsonl").provenance
    assert (again, [d.uuid for d in again.devices]) == (provenance, ["GPU-1", "GPU-2"])


def test_it_says_which_format_its_file_has(recording, tmp_path):
    head = json.loads(recording.path.read_text().splitlines()[0])
    (device,) = head.pop("devices")
    old = tmp_path / "old.jsonl"
    old.write_text(json.dumps({**head, "format": 1, "device": device}))
    assert (read(old).format, recording.format) == (1, 2)
    there, conditions = read(old).provenance, recording.provenance.conditions
    workload = {**conditions["workload"], "ramp_s": 0.0}  # 0.1 had no ramp
    same = replace(recording.provenance, conditions={**conditions, "workload": workload})
    assert there == same


def test_an_infinite_latency_comes_back(recording, tmp_path):
    endless = only(llm_latency_p95_ms=INFINITE)
    write(tmp_path / "a.jsonl", recording.provenance, [entry(job(1), 1, 1.0, Outcome(endless))])
    assert read(tmp_path / "a.jsonl").entries[0].measurement == endless


def test_the_seed_chooses_the_repeat(recording):
    figures = [
        recording.measure(job(seed)).measurement.figure("stt_latency_ms") for seed in range(6)
    ]
    assert figures == [1, 2, 3, 1, 2, 3]


def test_a_replay_says_how_long_the_measurement_took(recording):
    outcome = recording.measure(job(0))
    assert outcome.wall_s == outcome.measurement.wall_s == 61


def test_out_of_memory_rules_out_the_allocation_where_it_happened(recording):
    outcome = recording.measure(job(5, HIGH))
    assert (outcome.measurement, outcome.wall_s) == (None, 30.0)
    assert outcome.failure == replace(NO_MEMORY, measured={"stt_start_s": 2.0, "wall_s": 30.0})


def test_a_disturbed_launch_is_disturbed_again(recording, tmp_path):
    diagnosis = Diagnosis("engine_death", "llm", FailurePhase.LOAD, None, "exit status 0")
    died = Outcome(failure=Failure(diagnosis, is_ruled_out=True))
    write(tmp_path / "a.jsonl", recording.provenance, [entry(job(1), 1, 1.0, died)])
    failure = read(tmp_path / "a.jsonl").measure(job(0)).failure
    assert not failure.is_ruled_out
    assert failure.diagnosis == diagnosis


def test_a_launch_that_showed_what_the_machine_lacks_shows_it_again(recording, tmp_path):
    diagnosis = Diagnosis("gpu_hardware", "llm", FailurePhase.LOAD, None, "Xid 79")
    lost = Outcome(failure=Failure(diagnosis, is_ruled_out=False))
    write(tmp_path / "a.jsonl", recording.provenance, [entry(job(1), 1, 1.0, lost)])
    outcome = read(tmp_path / "a.jsonl").measure(job(0))
    assert (outcome.failure, outcome.setup_error) == (None, "gpu_hardware (llm): Xid 79")


def test_what_was_not_recorded_is_refused(recording):
    outside = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base"})
    with pytest.raises(
        BadInput, match=r"card\.jsonl holds no measurement of vllm_memory_util=0\.5"
    ):
        recording.measure(job(0, outside))


def test_it_says_where_its_numbers_come_from(recording):
    assert recording.sentence() == (
        "measured on A card with 12.0 GiB, driver 580.1 on 2026-11-24 "
        "with vllm 0.26.0, faster-whisper 1.2.1, ctranslate2 4.8.5"
    )
    later = [
        replace(recording.entries[0], at="2026-11-27T01:00:00+00:00", card="GPU-2"),
        *recording.entries[1:],
    ]
    sentence = replace(recording, entries=tuple(later)).sentence()
    assert "driver 580.1 (2 cards) from 2026-11-24 to 2026-11-27 with vllm" in sentence


def test_a_launch_that_is_there_twice_is_refused(recording):
    lines = recording.path.read_text().splitlines()
    recording.path.write_text("\n".join([*lines, lines[2]]))
    with pytest.raises(
        BadInput, match=r"card\.jsonl:6: .*repeat 2 of its configuration is line 3 too"
    ):
        read(recording.path)


def changed(at, change):
    """Return what changes line `at` of a file in place."""

    def spoil(lines):
        data = json.loads(lines[at])
        change(data)
        return [*lines[:at], json.dumps(data), *lines[at + 1 :]]

    return spoil


def last_line_cut(lines):
    return [*lines[:-1], lines[-1][:40]]


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (last_line_cut, 5),
        (lambda lines: [], 1),
        (lambda lines: ["a diary"], 1),
        (lambda lines: ["[1]", *lines[1:]], 1),
        (lambda lines: [lines[0].replace('"format": 2', '"format": 99'), *lines[1:]], 1),
        (lambda lines: [lines[0], '{"trial": 1}'], 2),
        (lambda lines: [lines[0], "7", *lines[1:]], 2),
        (lambda lines: ["5", *lines[1:]], 1),
        (changed(0, lambda d: d["conditions"].pop("workload")), 1),
        (changed(2, lambda d: d["values"].pop("whisper_model_size")), 3),
        (changed(2, lambda d: d["values"].update({"vllm.max_num_seqs": 8})), 3),
        (changed(1, lambda d: d["values"].update(vllm_memory_util="half")), 2),
        (changed(1, lambda d: d["values"].update(vllm_memory_util=[1])), 2),
        (changed(1, lambda d: d.update(card=5)), 2),
        (changed(1, lambda d: d["measurement"]["services"]["stt"].update(latency_ms="soon")), 2),
        (changed(1, lambda d: d["measurement"]["services"]["stt"].update(latency_ms=10**400)), 2),
        (changed(1, lambda d: d.update(measurement=5)), 2),
        (changed(1, lambda d: d.update(measurement=None)), 2),
    ],
    ids=[
        "torn",
        "empty",
        "text",
        "a list",
        "a later format",
        "another jsonl",
        "a number",
        "a number first",
        "no workload",
        "no speech model",
        "another parameter",
        "a share in words",
        "a share in a list",
        "a card 5",
        "a figure in words",
        "a figure beyond all",
        "a measurement 5",
        "neither measured nor failed",
    ],
)
def test_a_torn_or_foreign_file_is_bad_input_naming_the_line(recording, spoil, line):
    recording.path.write_text("\n".join(spoil(recording.path.read_text().splitlines())))
    with pytest.raises(
        BadInput, match=rf"card\.jsonl:{line}: cannot read this recording .*record\.py"
    ):
        read(recording.path)


@pytest.mark.parametrize("value", ["soon", NAN, -1, 10**400, None, [1]])
@pytest.mark.parametrize(
    ("at", "change"),
    [
        (0, lambda d, value: d["devices"][0].update(total_mib=value)),
        (0, lambda d, value: d["devices"].append(d["devices"][0] | {"total_mib": value})),
        (0, lambda d, value: d.update(started=value)),
        (1, lambda d, value: d.update(at=value)),
        (1, lambda d, value: d.update(wall_s=value)),
        (1, lambda d, value: d["measurement"]["phase_s"].update(window=value)),
        (4, lambda d, value: d["measured"].update(phase_s={"window": value})),
    ],
    ids=[
        "total_mib",
        "total_mib of another device",
        "started",
        "at",
        "wall_s",
        "phase_s",
        "phase_s of a failure",
    ],
)
def test_what_is_no_moment_or_amount_is_refused(recording, at, change, value):
    spoil = changed(at, lambda d: change(d, value))
    recording.path.write_text("\n".join(spoil(recording.path.read_text().splitlines())))
    with pytest.raises(BadInput, match=rf"card\.jsonl:{at + 1}: cannot read this") as refused:
        read(recording.path)
    assert len(str(refused.value)) < 400


def test_a_device_without_memory_is_refused(recording):
    spoil = changed(0, lambda d: d["devices"][0].update(total_mib=0))
    recording.path.write_text("\n".join(spoil(recording.path.read_text().splitlines())))
    with pytest.raises(BadInput, match=r"card\.jsonl:1: .*total_mib is 0, and shares are of it"):
        read(recording.path)


def test_a_figure_that_is_not_a_number_is_refused(recording):
    spoil = changed(1, lambda d: d["measurement"]["services"]["stt"].update(latency_ms=NAN))
    recording.path.write_text("\n".join(spoil(recording.path.read_text().splitlines())))
    with pytest.raises(BadInput, match=r"card\.jsonl:2: .*latency_ms is nan, which is no figure"):
        read(recording.path)


def test_a_file_that_is_not_there_or_not_text_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="cannot read this recording"):
        read(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(BadInput, match=r"empty\.jsonl:1: cannot read this recording .Expecting"):
        read(tmp_path / "empty.jsonl")
    (tmp_path / "image.jsonl").write_bytes(b"\x89PNG\xff")
    with pytest.raises(BadInput, match="cannot read this recording"):
        read(tmp_path / "image.jsonl")


def test_conditions_are_equal_after_a_round_trip_and_where_only_folders_differ():
    mine = conditions(setting())
    assert json.loads(json.dumps(mine)) == mine
    moved = {"llm": LlmService(model="/elsewhere/qwen", python="/other"), "stt": SERVICES["stt"]}
    assert conditions(setting(services=moved)) == mine


@pytest.mark.parametrize(
    "other",
    [
        {"workload": Workload(prompt_tokens=(8, 16), seed=2)},
        {"tenants": (Tenant(name="desktop", mib=500),)},
        {"services": {"llm": LlmService(model="/models/llama"), "stt": SERVICES["stt"]}},
        {
            "services": {
                "llm": LlmService(model="/models/qwen", args=("--enforce-eager",)),
                "stt": SERVICES["stt"],
            }
        },
        {
            "services": {
                "llm": SERVICES["llm"],
                "stt": SttService(models={"base": "/models/base"}, beam_size=1),
            }
        },
    ],
    ids=["seed", "tenants", "model", "flags", "beam"],
)
def test_another_workload_tenant_or_service_is_another_condition(other):
    assert conditions(setting(**other)) != conditions(setting())


def test_every_reply_is_kept_and_judged_again_under_other_limits(recording, tmp_path):
    """A window of two requests, and a ramp that breaks at 2 turns/s under its own limit."""
    folder = tmp_path / "trial"
    folder.mkdir()
    window = [
        {"service": "llm", "scheduled_s": 70.0, "first_s": 70.4, "end_s": 71.0, "tokens": 7},
        {"service": "stt", "scheduled_s": 71.0, "first_s": 71.6, "end_s": 71.6},
    ]
    (folder / "replies.jsonl").write_text("".join(json.dumps(r) + "\n" for r in window))
    here = RampRange(1.0, 30.0)
    times_s = [t for t in turn_times(here.rate, 1) if t < 60.0]
    ramp = [
        RampReply(
            line=0,
            service="stt",
            turn=n,
            scheduled_s=at_s,
            first_s=at_s + 0.1 * here.rate.at(at_s) ** 2,
            end_s=at_s + 0.1 * here.rate.at(at_s) ** 2,
        )
        for n, at_s in enumerate(times_s)
    ]
    write_replies(folder / "ramp.jsonl", ramp)
    measured = only(stt_latency_ms=1.0, llm_latency_ms=1.0, ramp=here.to_json(), goodput_pct=100.0)
    kept = entry(replace(job(1), folder=folder), 1, 1.0, Outcome(measured))
    write(tmp_path / "a.jsonl", recording.provenance, [kept])
    again = read(tmp_path / "a.jsonl")
    assert len(again.entries[0].replies or ()) == 2 + len(ramp)
    assert again.measure(job(0)).measurement.goodput_pct == 100
    for limit_ms, goodput_pct, turns_per_s in ((400.0, 50, 2.0), (900.0, 100, 3.0)):
        limits = {"stt_latency_p95_ms": limit_ms, "llm_tpot_p95_ms": 200.0}
        other = replace(again, limits=limits).measure(job(0)).measurement
        assert other.goodput_pct == goodput_pct
        assert other.breaking_point_turns_per_s == pytest.approx(turns_per_s, rel=0.05)
        assert other.capacity_bound_by == "stt_latency_p95_ms"


@pytest.mark.parametrize(
    "rows",
    [
        5,
        {"a": 1},
        [5],
        [[0, "stt", None, 0.0]],
        [[7, "stt", None, 0.0, 0.1, 0.1, None, None]],
        [[True, "stt", None, 0.0, 0.1, 0.1, None, None]],
        [[[0], "stt", None, 0.0, 0.1, 0.1, None, None]],
        [[0, 5, None, 0.0, 0.1, 0.1, None, None]],
        [[0, "stt", [1], 0.0, 0.1, 0.1, None, None]],
        [[0, "stt", None, None, 0.1, 0.1, None, None]],
        [[0, "stt", None, "0", 0.1, 0.1, None, None]],
        [[0, "stt", None, 0.0, 0.1, -9.0, None, None]],
        [[0, "stt", None, 0.0, 0.1, NAN, None, None]],
        [[0, "llm", None, 0.0, 0.1, 0.1, "x", None]],
        [[0, "llm", None, 0.0, 0.1, 0.1, 7, [1]]],
    ],
)
def test_rows_that_are_no_replies_are_refused_with_their_line(recording, tmp_path, rows):
    lines = recording.path.read_text().splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), "replies": rows})
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(BadInput, match=r"a\.jsonl:3: cannot read this recording"):
        read(tmp_path / "a.jsonl")


def test_rows_of_which_some_are_lost_are_none(recording):
    rows, limits = [*kept(8.0)], {"llm_ttft_p95_ms": 2000.0}
    measured = under(only(**SERVED, ramp=KEPT_RANGE.to_json()), rows, limits, 1.0)
    recording = replace(recording, provenance=replace(recording.provenance, limits=limits))
    e = replace(recording.entries[0], measurement=measured, replies=rows)
    ramp = [row for row in rows if row[0] != WINDOW]
    window = rows[: -len(ramp)]
    assert recording.replies_of(e) == rows
    for part in ([], window, ramp, [*window, *ramp[:200]], [*window[:3], *ramp]):
        assert recording.replies_of(replace(e, replies=part)) is None


def test_without_its_replies_a_launch_has_no_capacity_under_other_limits(recording, tmp_path):
    measured = only(stt_latency_ms=1.0, goodput_pct=50.0, capacity_turns_per_s=3.0)
    write(tmp_path / "a.jsonl", recording.provenance, [entry(job(1), 1, 1.0, Outcome(measured))])
    again = read(tmp_path / "a.jsonl")
    assert again.measured(again.entries[0]).capacity_turns_per_s == 3
    other = replace(again, limits={"stt_latency_p95_ms": 400.0}).measured(again.entries[0])
    assert (other.goodput_pct, other.capacity_or_0) == (None, None)


@pytest.mark.parametrize("name", ["llm_ttft_p95_ms", "llm_latency_p95_ms"])
def test_a_kv_cache_that_was_full_still_bounds_the_capacity_under_other_limits(name):
    full = {**KEPT_RANGE.to_json(), "kv_full_s": 20.0}
    limits = {name: 1500.0}
    bounds = {
        under(only(**SERVED, ramp=ramp), kept(8.0), limits, 1.0).capacity_bound_by
        for ramp in (full, KEPT_RANGE.to_json())
    }
    assert bounds == {"kv", name}


def test_what_a_launch_left_is_left_again_by_its_rows(tmp_path):
    rows = kept(8.0)
    leave(rows, tmp_path / "new")
    assert kept_in(tmp_path / "new") == [
        [round(x, 4) if isinstance(x, float) else x for x in row] for row in rows
    ]
    leave([row for row in rows if row[0] == WINDOW], tmp_path / "window")
    assert [p.name for p in (tmp_path / "window").iterdir()] == ["replies.jsonl"]


def test_a_recording_of_0_1_has_the_rungs_of_its_ladder_and_no_capacity():
    old = read(Path(objectives.__file__).parent / "recordings/h100.jsonl")
    measured = [m for e in old.entries if (m := old.measured(e)) is not None]
    assert all(m.ladder for m in measured)
    assert {m.capacity_turns_per_s for m in measured} == {None}
    assert {m.concurrent_capacity for m in measured} == {None}
    assert {m.capacity_bound_by for m in measured} == {None}
    assert old.provenance.conditions["workload"]["ramp_s"] == 0


def test_a_device_is_no_recording_and_is_not_read():
    with pytest.raises(BadInput, match="/dev/null: it is not a plain file"):
        read(Path("/dev/null"))
