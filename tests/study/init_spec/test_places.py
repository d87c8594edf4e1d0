"""Servers on several cards, or on the CPU, become a spec of several devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from study.init_spec.init_spec import InitOptions, write_files
from study.spec.load import load

LLM = "[Service]\n{}\nExecStart=/opt/v/bin/vllm serve org/m --gpu-memory-utilization 0.5\n"
STT = "[Service]\n{}\nExecStart=/opt/s/bin/python /opt/s/server.py --model base {}\n"


def written(
    folder: Path, llm: str, stt: str, flags: str = "", device: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Write both units and the spec; return that, which its reader takes, and what was told."""
    lines = list[str]()
    (folder / "llm.service").write_text(LLM.format(llm))
    (folder / "stt.service").write_text(STT.format(stt, flags))
    units = (str(folder / "llm.service"), str(folder / "stt.service"))
    out = folder / "my.yaml"
    write_files(InitOptions(units, out, folder / "d.yaml", "my", device), lines.append)
    load(out, is_here=False)
    return yaml.safe_load(out.read_text()), lines


ONE, ZERO = "Environment=CUDA_VISIBLE_DEVICES=1", "Environment=CUDA_VISIBLE_DEVICES=0"
UUID = "Environment=CUDA_VISIBLE_DEVICES=GPU-1234"


@pytest.mark.parametrize(
    ("llm", "stt", "flags", "devices", "place"),
    [
        (ZERO, ONE, "", {"gpu0": "0", "gpu1": "1"}, "gpu1"),
        (ONE, "", "", {"gpu0": "1", "gpu1": "cuda"}, "gpu1"),
        ("", ONE, "", {"gpu0": "cuda", "gpu1": "1"}, "gpu1"),
        (ZERO, "", "--device cpu", {"gpu0": "0", "cpu": "cpu"}, "cpu"),
        ("", "Environment=CUDA_VISIBLE_DEVICES=", "", {"gpu0": "cuda", "cpu": "cpu"}, "cpu"),
    ],
)
def test_each_server_has_the_place_that_it_is_confined_to(
    tmp_path: Path, llm: str, stt: str, flags: str, devices: dict[str, str], place: str
) -> None:
    spec, _ = written(tmp_path, llm, stt, flags)
    assert {k: str(v) for k, v in spec["devices"].items()} == devices and "device" not in spec
    services = spec["services"]
    assert (services["llm"]["place"], services["stt"]["place"]) == ("gpu0", place)
    assert "device" not in services["stt"]


@pytest.mark.parametrize(
    ("llm", "stt", "device"),
    [
        ("", "", "cuda"),
        (ZERO, "", "0"),
        ("", ZERO, "cuda"),
        (ONE, ONE, "1"),
        (UUID, UUID, "GPU-1234"),
    ],
)
def test_one_card_by_two_names_is_one(tmp_path: Path, llm: str, stt: str, device: str) -> None:
    spec, _ = written(tmp_path, llm, stt)
    assert str(spec["device"]) == device and "devices" not in spec
    assert "place" not in spec["services"]["stt"]


def test_where_no_card_is_seen_what_nothing_confines_is_with_the_llm(tmp_path: Path) -> None:
    spec, lines = written(tmp_path, UUID, "")
    assert spec["device"] == "GPU-1234"
    assert any("stt is taken to be on the LLM's, GPU-1234" in line for line in lines)


def test_a_device_that_a_person_names_is_that_of_all_but_the_cpus(tmp_path: Path) -> None:
    spec, _ = written(tmp_path, ZERO, ONE, device="2")
    assert str(spec["device"]) == "2"
