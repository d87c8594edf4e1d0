"""The LLM's memory in MiB is a share of the device that is there; one spec serves several."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.factories import BEST, TOTAL_MIB, make
from processes.commands import run_study

from objectives.allocation import Allocation
from objectives.errors import BadInput
from study.spec.load import load
from study.spec.memory.on_device import on_device
from study.spec.model import Spec
from study.spec.setting import conditions_of

H100, H200 = (81_079.0, "NVIDIA H100"), (143_155.9375, "NVIDIA H200")
SPEC = """\
name: small
measure: {recorded: some.jsonl}
search_space:
  vllm_memory_mib: [40540, 44593]
bounds: {vllm_memory_util: [0.25, 0.70]}
baseline: {vllm_memory_mib: 40540, whisper_model_size: base}
services: {llm: {model: m}}
"""
IN_SHARES = ("baseline: {vllm_memory_mib: 40540", "baseline: {vllm_memory_util: 0.5")
SIZES = {"vllm_memory_mib": [4800, 5400, 6000, 6600, 7200], "whisper_model_size": ["tiny", "base"]}


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    (tmp_path / "some.jsonl").touch()

    def load_(*changes: tuple[str, str]) -> Spec:
        path, text = tmp_path / "spec.yaml", SPEC
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        return load(path)

    return load_


@pytest.mark.parametrize(
    ("device", "shares"), [(H100, [0.500006, 0.549994]), (H200, [0.283188, 0.311499])]
)
def test_one_spec_serves_cards_of_two_sizes(loaded, device, shares):
    spec = on_device(loaded(), *device)
    grid = list(spec.search_space.grid())
    assert [a.share for a in grid] == shares
    assert [a.memory_mib for a in grid] == [40_540, 44_593]
    assert spec.baseline == grid[0]
    assert [str(a) for a in grid] == [
        f"vllm_memory_mib={mib} whisper_model_size=base" for mib in (40_540, 44_593)
    ]
    assert spec.search_space.decode(spec.search_space.encode(grid[1])) == grid[1]


def test_a_baseline_may_be_a_share_of_a_search_in_mib(loaded):
    spec = on_device(loaded(IN_SHARES), *H100)  # 40,539.5 MiB
    assert (spec.baseline.memory_mib, spec.baseline.share) == (40_540, 0.500006)
    with pytest.raises(BadInput) as caught:
        on_device(loaded(IN_SHARES), *H200)
    message = str(caught.value)
    assert "spec.yaml:6: vllm_memory_util: in use today: 0.5 of NVIDIA H200 with " in message
    assert "is 71,578 MiB, which is not in search_space.vllm_memory_mib (40540, 44593); " in message


def test_a_baseline_may_be_mib_of_a_search_in_shares(loaded):
    shares = ("vllm_memory_mib: [40540, 44593]", "vllm_memory_util: [0.4, 0.5]")
    spec = on_device(loaded(shares), *H100)
    assert dict(spec.baseline.values) == {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    with pytest.raises(BadInput, match=r"40,540 MiB of NVIDIA H200 .* is a share of 0.283188, "):
        on_device(loaded(shares), *H200)


def test_a_memory_that_is_not_searched_may_be_mib(loaded):
    spec = on_device(loaded(("vllm_memory_mib: [40540, 44593]", "vllm.max_num_seqs: [8]")), *H200)
    assert (spec.baseline.share, spec.baseline.memory_mib) == (0.283188, 40_540)


def test_a_range_of_mib_is_a_range_of_shares(loaded):
    a_range = ("[40540, 44593]", "{low: 40540, high: 60000}")
    spec = on_device(loaded(a_range), *H200)
    assert spec.search_space.allocation({"vllm_memory_mib": 50_000}).share == 0.349269
    half = ("{vllm_memory_mib: 40540", "{vllm_memory_util: 0.4")
    assert on_device(loaded(a_range, half), *H200).baseline.share == pytest.approx(0.4, abs=1e-5)


def test_bounds_hold_for_the_share(loaded):
    narrow = ("[0.25, 0.70]", "[0.30, 0.70]")
    on_device(loaded(narrow), *H100)
    with pytest.raises(BadInput) as caught:
        on_device(loaded(narrow), *H200)
    assert "spec.yaml:4: vllm_memory_mib: 40,540 MiB are 0.283188 of NVIDIA H200" in str(
        caught.value
    )
    assert "outside the bounds 0.3 to 0.7; " in str(caught.value)


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (
            ("44593]", "44593]\n  vllm_memory_util: [0.5]"),
            ":4: search_space.vllm_memory_mib: it stands beside vllm_memory_util, ",
        ),
        (
            ("{vllm_memory_mib: 40540", "{vllm_memory_mib: 40540, vllm_memory_util: 0.5"),
            ":6: baseline.vllm_memory_mib: it stands beside vllm_memory_util, ",
        ),
        (("40540, 44593", "0.5, 44593"), ":4: search_space.vllm_memory_mib: 0.5 is no amount "),
        (("40540, 44593", "40540, many"), ":4: search_space.vllm_memory_mib: 'many' is of another"),
        (("vllm_memory_mib: 40540, ", ""), None),
    ],
)
def test_a_wrong_amount_names_line_key_and_way_out(loaded, tmp_path, change, start):
    with pytest.raises(BadInput) as caught:
        loaded(change)
    message = str(caught.value).removeprefix(str(tmp_path / "spec.yaml"))
    assert message.startswith(start or ":6: baseline.vllm_memory_mib: it has no value in use today")


def test_a_total_that_breathes_is_the_same_study(loaded):
    now, later = (conditions_of(on_device(loaded(), t, "CPU")) for t in (81_079.0, 81_900.0))
    assert now == later
    assert now["baseline"] == {"vllm_memory_mib": 40_540, "whisper_model_size": "base"}


def test_a_study_in_mib_answers_in_mib_and_its_promotion_carries_both(tmp_path: Path) -> None:
    spec = make(
        tmp_path,
        changes={
            "search_space": SIZES,
            "baseline": {"vllm_memory_util": 0.5, "whisper_model_size": "base"},
            "monotone": ["vllm_memory_mib"],
        },
    )
    ran = run_study(spec, "--out", tmp_path / "out")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "6,600 MiB of the memory for the LLM, beside speech model base" in ran.stdout
    (file,) = (tmp_path / "out/made/promotions").glob("*.yaml")
    promotion = yaml.safe_load(file.read_text())
    assert promotion["parameters"] == BEST | {"vllm_memory_mib": 6600}
    assert promotion["baseline"]["vllm_memory_mib"] == 6000 == 0.5 * TOTAL_MIB
    assert promotion["set"]["llm"] == "--gpu-memory-utilization 0.55"
    again = run_study(spec, "--out", tmp_path / "out")
    assert (again.returncode, again.stderr) == (0, "")


def test_an_allocation_before_its_device_is_known_has_no_share(loaded):
    with pytest.raises(KeyError):
        _ = loaded().baseline.share
    assert str(Allocation(loaded().baseline.values)) == str(on_device(loaded(), *H100).baseline)
