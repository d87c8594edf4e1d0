"""A promotion reaches production only sealed and confirmed, and its values as bounded text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from made.factories import Card
from processes.commands import run_script

from objectives.errors import BadInput, SetupError
from study.deploy.admission import Admitted, admit
from study.deploy.config.deployed import Binding, Deployed, Stack
from study.deploy.config.deployment import Deployment
from study.deploy.health import other_cards
from study.deploy.plan import check_times
from study.promotion.schema import SCHEMA
from study.promotion.seal import put

SHARE = Binding(flag="--gpu-memory-utilization", low=0.1, high=0.9)
SIZE = Binding(variable="WHISPER_MODEL", choices={"tiny": "tiny", "base": "/models/base"})
SEATS = Binding(flag="--max-num-seqs", low=1, high=256, whole=True)
DEPLOYMENT = Deployment(
    name="voice",
    services={
        "llm": Deployed(
            set={"vllm_memory_util": SHARE, "vllm.max_num_seqs": SEATS}, unit="judge.service"
        ),
        "stt": Deployed(set={"whisper_model_size": SIZE}, unit="whisper.service"),
    },
)
NOW = datetime.now(UTC)
PROMOTION: Mapping[str, Any] = {
    "schema": SCHEMA,
    "status": "confirmed",
    "measured_elsewhere": False,
    "parameters": {"vllm_memory_util": 0.55, "whisper_model_size": "base"},
    "metrics": {"winner": {"kv_tokens": 1000, "free_memory_mib": 500.0, "stt_memory_mib": 600.0}},
    "device": {"uuid": "GPU-1", "driver": "580.1"},
    "versions": {"llm": {}, "stt": {"faster-whisper": "1.2.1"}},
    "commands": {"stt": "python t.py --compute-type int8 --beam-size 5"},
    "confirmation": {"verdict": "confirmed", "cards": ["GPU-1"], "drivers": ["580.1"]},
    "written_at": NOW.isoformat(),
}


def admitted(folder: Path, *, i_know: bool = False, **changed: Any) -> Admitted:
    file = folder / "p.yaml"
    put({**PROMOTION, **changed}, file)
    return admit(file, DEPLOYMENT, Card(), i_know=i_know)


def test_what_wakes_a_service_that_sleeps_is_told_and_without_it_nothing_is_applied(
    tmp_path: Path,
) -> None:
    sleeper = {"woken_by": "llama_swap", "idle_s": 60.0}
    notes = admitted(tmp_path, on_demand={"embed": sleeper}).notes
    assert any("embed sleeps until it is asked: that llama_swap wakes it" in n for n in notes)
    with pytest.raises(BadInput, match=r"embed.woken_by: it is missing: where nothing wakes"):
        admitted(tmp_path, on_demand={"embed": {**sleeper, "woken_by": None}})
    for waker, fault in (("hope", "nothing called hope"), ("keep_alive", "what serves stt does")):
        with pytest.raises(BadInput, match=rf"on_demand.stt.woken_by: {fault}"):
            admitted(tmp_path, on_demand={"stt": {"woken_by": waker}})
    asleep = {**PROMOTION, "parameters": {**PROMOTION["parameters"], "embed.resident": False}}
    deployment, file = replace(DEPLOYMENT, not_set=("embed.resident",)), tmp_path / "p.yaml"
    put({**asleep, "on_demand": {"embed": sleeper}}, file)
    assert {*notes} <= {*admit(file, deployment, Card(), i_know=False).notes}
    put(asleep, file)
    with pytest.raises(BadInput, match=r"embed.woken_by: it is missing: where nothing wakes"):
        admit(file, deployment, Card(), i_know=False)


def test_a_change_that_nothing_here_sets_is_refused_or_told(tmp_path: Path) -> None:
    file, today = tmp_path / "p.yaml", {**PROMOTION["parameters"], "stt.resident": False, "x": 1}
    deployment = replace(DEPLOYMENT, not_set=("stt.resident", "x"))
    put({**PROMOTION, "parameters": {**today, "stt.resident": True}, "baseline": today}, file)
    notes = admit(file, deployment, Card(), i_know=False).notes
    assert any("stt.resident is False today and becomes True: nothing here" in n for n in notes)
    put({**PROMOTION, "parameters": {**today, "x": 2}, "baseline": today}, file)
    with pytest.raises(BadInput, match="x is 1 today and becomes 2, which `not_set` leaves to"):
        admit(file, deployment, Card(), i_know=False)


TWO_CARDS: Mapping[str, Any] = {
    "places": {"llm": "gpu0", "stt": "gpu1"},
    "other_devices": {
        "gpu1": {"uuid": "GPU-2", "driver": "580.1", "cuda": "13.0"},
        "cpu": {"uuid": "host", "driver": None, "cuda": None},
    },
}


def test_a_note_has_nothing_of_a_name_that_a_terminal_would_act_on(tmp_path: Path) -> None:
    notes = admitted(tmp_path, on_demand={"\x1b[2J\nembed": {"woken_by": "llama_swap"}}).notes
    assert all(note.isprintable() for note in notes)


def test_another_card_is_compared_and_what_its_services_took_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(uuid: str) -> Card:
        if uuid != "GPU-2":
            raise SetupError(f"no GPU {uuid}")
        return Card()

    monkeypatch.setattr(other_cards, "open_device", opened)
    promotion = admitted(tmp_path, **TWO_CARDS)
    assert [(o.name, o.needed_mib) for o in promotion.others] == [("gpu1", 600.0)]
    assert promotion.memory_mib == {}  # nothing but the LLM is on its card
    assert any(n.endswith("was not checked: llm on gpu0, stt on gpu1") for n in promotion.notes)
    for changed, message in (
        ({"uuid": "GPU-3"}, "measured with gpu1 GPU-3, which is not here"),
        ({"driver": "570.0"}, "measured on driver 570.0, here is 580.1"),
    ):
        gpu1 = {**TWO_CARDS["other_devices"]["gpu1"], **changed}
        with pytest.raises(BadInput, match=message):
            admitted(tmp_path, **{**TWO_CARDS, "other_devices": {"gpu1": gpu1}})
    beside = {**TWO_CARDS, "places": {"llm": "gpu0", "stt": "gpu0"}}
    assert admitted(tmp_path, **beside).others == ()


def test_each_card_of_the_llms_set_is_compared_and_its_share_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = dict.fromkeys(("GPU-2",), Card())
    monkeypatch.setattr(other_cards, "open_device", opened.__getitem__)
    spread = {**TWO_CARDS, "places": {"llm": "gpu0+gpu1", "stt": "gpu0"}}
    promotion = admitted(tmp_path, **spread)
    assert [(o.name, o.needed_mib) for o in promotion.others] == [("gpu1", 0.55 * 12_000.0)]
    assert promotion.memory_mib == {"stt": 600.0}  # on the first card, beside the LLM
    assert any("llm on gpu0+gpu1, stt on gpu0" in note for note in promotion.notes)
    there = admitted(tmp_path, **{**spread, "places": {"llm": "gpu0+gpu1", "stt": "gpu1"}})
    assert [o.needed_mib for o in there.others] == [0.55 * 12_000.0 + 600.0]
    assert there.memory_mib == {}
    gpu1 = {**TWO_CARDS["other_devices"]["gpu1"], "driver": "570.0"}
    with pytest.raises(BadInput, match=r"measured on driver 570.0, here is 580.1"):
        admitted(tmp_path, **{**spread, "other_devices": {"gpu1": gpu1}})


def test_a_confirmed_promotion_of_this_machine_is_admitted_with_its_figures(tmp_path: Path) -> None:
    promotion = admitted(tmp_path)
    assert [a.text for a in promotion.assigned] == ["0.55", "/models/base"]
    assert (promotion.kv_tokens, promotion.share) == ({"llm": 1000}, 0.55)
    assert promotion.memory_mib == {"stt": 600.0}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"status": "candidate"}, r"not confirmed \(status: candidate\).*confirm.py.*--i-know"),
        (
            {"schema": 1},
            r"a promotion of 0\.1, .* measure anew: `python scripts/run_study\.py SPEC`",
        ),
        ({"schema": 3}, "its schema is 3, and this version writes 2"),
        ({"schema": None}, "its schema is None"),
        ({"status": "replay"}, "replayed from measurements of elsewhere"),
        ({"confirmation": None}, "its status is confirmed and its confirmation is not"),
        (
            {"confirmation": {"verdict": "rejected"}},
            "its status is confirmed and its confirmation is not",
        ),
        (
            {"confirmation": {"verdict": "confirmed", "cards": ["GPU-2"]}},
            "confirmed on device GPU-2, here is GPU-1",
        ),
        (
            {"confirmation": {"verdict": "confirmed", "drivers": ["570.0"]}},
            "confirmed on driver 570.0, here is 580.1",
        ),
        ({"measured_elsewhere": True}, "replayed from measurements of elsewhere"),
        ({"status": "rejected"}, "ended rejected"),
        ({"status": "inconclusive"}, "ended inconclusive"),
        ({"status": ["confirmed"]}, "not confirmed"),
        ({"written_at": (NOW - timedelta(days=31)).isoformat()}, "31 days old, max_age_days is 30"),
        ({"written_at": (NOW + timedelta(days=3)).isoformat()}, "in the future"),
        ({"written_at": "yesterday"}, "does not say when"),
        (
            {"device": {"uuid": "GPU-2", "driver": "580.1"}},
            "measured on device GPU-2, here is GPU-1",
        ),
        (
            {"device": {"uuid": "GPU-1", "driver": "570.0"}},
            "measured on driver 570.0, here is 580.1",
        ),
        ({"device": None}, "measured on device None"),
        ({"parameters": {"vllm_memory_util": 0.75}}, "out of bounds; it must be from 0.3 to 0.7"),
        ({"parameters": {"vllm_memory_util": float("nan")}}, "out of bounds"),
        ({"parameters": {"vllm_memory_util": 10**400}}, "out of bounds"),
        ({"parameters": {"vllm_memory_util": True}}, "is no number"),
        ({"parameters": {"vllm_memory_util": "0.5"}}, "is no number"),
        ({"parameters": {"vllm.max_num_seqs": 8.0}}, "is no whole number"),
        ({"parameters": {"vllm.max_model_len": 8}}, "does not map; choose"),
        ({"parameters": {"whisper_model_size": "/models/base"}}, "not one of the choices"),
        ({"parameters": {"whisper_model_size": "base\nUser=root"}}, "not one of the choices"),
        ({"parameters": {}}, "sets no parameter"),
        ({"parameters": "vllm_memory_util=0.5"}, "has no parameters"),
        ({"parameters": {1: 2}}, "has no parameters"),
        ({"places": {"llm": ["gpu0"]}}, "its places are no names"),
        ({"places": {"llm": "gpu0+gpu1"}}, "it does not say which card gpu0 or gpu1 is; measure"),
        ({**TWO_CARDS, "places": {"llm": "gpu0+gpu1+\x1b[2J\n"}}, "which card .* or gpu0 is"),
    ],
)
def test_what_may_not_be_applied_is_refused_in_one_sentence(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as refusal:
        admitted(tmp_path, **changed)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("status", ["rejected", "inconclusive", "replay", "nonsense"])
def test_i_know_admits_a_candidate_and_nothing_else(tmp_path: Path, status: str) -> None:
    assert admitted(tmp_path, i_know=True, status="candidate").status == "candidate"
    with pytest.raises(BadInput):
        admitted(tmp_path, i_know=True, status=status)
    with pytest.raises(BadInput, match="out of bounds"):
        admitted(tmp_path, i_know=True, status="candidate", parameters={"vllm_memory_util": 0.9})


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(
    ("status", "message"),
    [("rejected", "ended rejected; nothing overrides that"), ("replay", "it was replayed from")],
)
def test_what_can_never_be_applied_is_refused_where_there_is_no_deployment_and_no_device(
    tmp_path: Path, verb: str, status: str, message: str
) -> None:
    put({**PROMOTION, "status": status}, tmp_path / "p.yaml")
    process = run_script("promote.py", verb, "p.yaml", "--i-know", cwd=tmp_path)
    assert (process.returncode, message in process.stderr) == (2, True), process.stderr


def test_what_was_confirmed_although_it_gets_worse_says_so_before_it_is_applied(
    tmp_path: Path,
) -> None:
    usual = admitted(tmp_path)
    assert not [s for s in usual.notes if "worse" in s]
    worse = {"main": ["llm_tpot_ms"], "long_context": ["llm_tpot_ms", "turn_ttft_ms"]}
    promotion = admitted(tmp_path, confirmation={**PROMOTION["confirmation"], "worse": worse})
    note = "it was confirmed although these get worse: llm_tpot_ms, turn_ttft_ms"
    assert note in promotion.notes


def test_what_nobody_judged_is_told_before_it_is_applied(tmp_path: Path) -> None:
    note = "nobody judged the answers that embed.dtype may change"
    assert note not in admitted(tmp_path).notes
    assert note in admitted(tmp_path, gates={"not_judged": ["embed.dtype"]}).notes


def test_i_know_does_not_admit_a_changed_file(tmp_path: Path) -> None:
    admitted(tmp_path)
    file = tmp_path / "p.yaml"
    file.write_text(file.read_text().replace("0.55", "0.60"))
    with pytest.raises(BadInput, match="changed after it was sealed"):
        admit(file, DEPLOYMENT, Card(), i_know=True)


def with_stack(stack: Stack) -> Deployment:
    stt = replace(DEPLOYMENT.services["stt"], stack=stack)
    return replace(DEPLOYMENT, services={**DEPLOYMENT.services, "stt": stt})


def test_a_speech_unit_that_needs_more_than_the_winner_leaves_is_refused(tmp_path: Path) -> None:
    admitted(tmp_path)
    admit(tmp_path / "p.yaml", with_stack(Stack(peak_mib=1100)), Card())
    with pytest.raises(BadInput, match=r"needs 1,101 MiB, the winner leaves 1,100"):
        admit(tmp_path / "p.yaml", with_stack(Stack(peak_mib=1101)), Card())


def test_another_speech_stack_is_told(tmp_path: Path) -> None:
    admitted(tmp_path)
    notes = admit(
        tmp_path / "p.yaml", with_stack(Stack("whisper.cpp", "float16", 5, 100)), Card()
    ).notes
    assert (
        "the speech stack differs: library is whisper.cpp in production, "
        "faster-whisper was measured" in notes
    )
    assert (
        "the speech stack differs: compute_type is float16 in production, int8 was measured"
        in notes
    )
    assert not any("beam_size" in line for line in notes)


def test_another_server_version_is_refused(tmp_path: Path) -> None:
    stt = replace(DEPLOYMENT.services["stt"], python=__import__("sys").executable)
    deployment = replace(DEPLOYMENT, services={**DEPLOYMENT.services, "stt": stt})
    admitted(tmp_path, versions={"llm": {}, "stt": {"faster-whisper": "0.1"}})
    with pytest.raises(
        BadInput, match=r"measured with faster-whisper 0.1, .* runs here; confirm it anew"
    ):
        admit(tmp_path / "p.yaml", deployment, Card())


def test_the_dead_man_must_not_fire_in_a_change_that_goes_well() -> None:
    with pytest.raises(BadInput, match=r"write `dead_man_s: 1820` or more"):
        check_times(replace(DEPLOYMENT, dead_man_s=600))
