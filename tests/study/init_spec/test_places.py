"""Servers on several cards, or on the CPU, become a spec of several devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from objectives.errors import BadInput
from study.init_spec.init_spec import InitOptions, write_files
from study.spec.load import load

LLM = "[Service]\n{}\nExecStart=/opt/v/bin/vllm serve org/m --gpu-memory-utilization 0.5\n"
STT = "[Service]\n{}\nExecStart=/opt/s/bin/python /opt/s/server.py --model base {}\n"


def written(
    folder: Path,
    llm: str,
    stt: str,
    flags: str = "",
    device: str | None = None,
    llm_flags: str = "",
) -> tuple[dict[str, Any], list[str]]:
    """Write both units and the spec; return that, which its reader takes, and what was told."""
    lines = list[str]()
    (folder / "llm.service").write_text(LLM.format(llm).rstrip() + f" {llm_flags}\n")
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


TP = "--tensor-parallel-size 2"


@pytest.mark.parametrize(
    ("sees", "devices"),
    [
        ("Environment=CUDA_VISIBLE_DEVICES=0,1", ["0", "1"]),
        ("Environment=CUDA_VISIBLE_DEVICES=3,1,2", ["3", "1"]),
        ("Environment=CUDA_VISIBLE_DEVICES=03,1,", ["3", "1"]),  # CUDA stops where one is none
        ('Environment="CUDA_VISIBLE_DEVICES=3, 1,-1,2"', ["3", "1"]),
        ("Environment=CUDA_VISIBLE_DEVICES=GPU-12,GPU-34", ["GPU-12", "GPU-34"]),
        ("", ["0", "1"]),
    ],
)
@pytest.mark.parametrize(
    "flag", [TP, "-tp 2", "--tensor_parallel_size=2", "--tensor-parallel-size 4 -tp 2"]
)
def test_an_llm_on_two_cards_has_both_as_its_place(
    tmp_path: Path, sees: str, devices: list[str], flag: str
) -> None:
    spec, _ = written(tmp_path, f"{sees}\n", sees, llm_flags=flag)
    assert list(map(str, spec["devices"].values())) == devices
    assert spec["services"]["llm"]["place"] == "gpu0+gpu1"
    assert spec["services"]["llm"]["args"] == []  # the place says it
    assert spec["services"]["stt"]["place"] == "gpu0"


def test_a_flag_that_is_cut_short_spreads_an_llm_too(tmp_path: Path) -> None:
    spec, _ = written(tmp_path, "", "", llm_flags="--tensor-parallel 2")
    assert spec["services"]["llm"]["place"] == "gpu0+gpu1"


@pytest.mark.parametrize("sees", ["", "-1,0", "none", ",0"])
def test_a_server_whose_list_of_cards_begins_with_none_is_on_the_cpu(
    tmp_path: Path, sees: str
) -> None:
    spec, _ = written(tmp_path, ZERO, f"Environment=CUDA_VISIBLE_DEVICES={sees}")
    assert spec["services"]["stt"]["place"] == "cpu"


def test_the_order_in_which_cuda_counts_cards_is_left_to_the_study(tmp_path: Path) -> None:
    spec, _ = written(tmp_path, f"{ONE}\nEnvironment=CUDA_DEVICE_ORDER=FASTEST_FIRST", ZERO)
    assert "CUDA_DEVICE_ORDER" not in spec["services"]["llm"]["env"]


@pytest.mark.parametrize(
    ("sees", "number", "message"),
    [
        (ZERO, "0", "services.llm.args: tensor-parallel-size is 0, and an LLM is on one device"),
        ("", "9" * 5000, "is spread over 999999999 cards, and a machine has 64 at most"),
        ("Environment=CUDA_VISIBLE_DEVICES=-1", "2", "is spread over 2 cards and sees none; mend"),
    ],
)
def test_a_number_of_cards_that_no_server_has_is_refused(
    tmp_path: Path, sees: str, number: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        written(tmp_path, sees, "", llm_flags=f"--tensor-parallel-size {number}")


def test_an_llm_on_two_cards_that_sees_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is spread over 2 cards and sees 1 \(1\); mend what"):
        written(tmp_path, ONE, "", llm_flags=TP)
    with pytest.raises(BadInput, match="--device names one; leave --device out"):
        written(tmp_path, "", "", device="0", llm_flags=TP)


def of_container(folder: Path, command: str, stt: str) -> dict[str, Any]:
    """Return the spec of an LLM's unit that runs a container, and of one for speech."""
    units = {"llm": f"[Service]\nExecStart=/usr/bin/{command}\n", "stt": stt}
    for name, text in units.items():
        (folder / f"{name}.service").write_text(text)
    paths, out = tuple(str(folder / f"{name}.service") for name in units), folder / "my.yaml"
    write_files(InitOptions(paths, out, folder / "d.yaml", "my", None), lambda _: None)
    spec: dict[str, Any] = yaml.safe_load(out.read_text())
    return spec


@pytest.mark.parametrize(("own", "device"), [("1", "3"), ("0,1", "2"), ("5", "cpu")])
def test_a_container_counts_the_cards_that_it_was_given(
    tmp_path: Path, own: str, device: str
) -> None:
    run = f"docker run --rm --gpus device=2,3 -e CUDA_VISIBLE_DEVICES={own} -p 8000:8000"
    command = f"{run} vllm/vllm-openai:v0.11.0 --model org/m"
    spec = of_container(tmp_path, command, STT.format(UUID, "--device cpu"))
    assert str(spec.get("device", spec.get("devices", {}).get("gpu0"))) == device


def test_an_llm_in_a_container_on_two_cards_keeps_its_own_command(tmp_path: Path) -> None:
    run = "docker run --rm --gpus '\"device=1,0\"' -p 8000:8000 vllm/vllm-openai:v0.11.0"
    command = f"{run} --model org/m --gpu-memory-utilization 0.5 {TP}"
    spec = of_container(tmp_path, command, STT.format(ONE, ""))
    assert {k: str(v) for k, v in spec["devices"].items()} == {"gpu0": "1", "gpu1": "0"}
    llm = spec["services"]["llm"]
    assert llm["place"] == "gpu0+gpu1" and TP in llm["command"]
    assert load(tmp_path / "my.yaml", is_here=False).places["stt"][0].on == "gpu0"
