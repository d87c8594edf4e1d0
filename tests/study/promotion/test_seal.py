"""These tests show that a seal holds through a file and breaks at any change or odd YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from objectives.errors import BadInput
from study.bounded_yaml import MAX_BYTES
from study.promotion.seal import put, seal, verify

DATA: dict[str, Any] = {
    "status": "candidate",
    "parameters": {"vllm_memory_util": 0.55, "whisper_model_size": "base"},
    "metrics": {"winner": {"a": 1e-7, "b": 1e22, "c": "inf", "d": None, "e": [True, 3]}},
    "note": "größer, \u2028 \x85 und '2026-11-20T10:00:00+00:00'",
    "measured_at": "2026-11-20T10:00:00+00:00",
}


def test_a_sealed_promotion_reads_back_the_same(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    put(DATA, file)
    assert verify(file) == seal(DATA)
    assert [p.name for p in tmp_path.iterdir()] == ["p.yaml"]


def test_sealing_again_after_a_change_holds(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    put(DATA, file)
    put({**verify(file), "status": "confirmed", "confirmation": {"pairs": 6}}, file)
    assert verify(file)["status"] == "confirmed"


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.55", "0.56"), ("candidate", "confirmed"), ("base", "tiny"), ("- true", "- 1")],
)
def test_any_change_breaks_the_seal(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "p.yaml"
    put(DATA, file)
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(BadInput, match=r"changed after it was sealed.*confirm it anew"):
        verify(file)


def test_without_a_seal_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(yaml.safe_dump(DATA), "utf-8")
    with pytest.raises(BadInput, match="it has no sha256"):
        verify(file)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: *a\n",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "a: !!python/object/apply:os.system [id]\n",
        "a: !!bool foo\n",
        "a: !!timestamp foo\n",
        'a: !!int ""\n',
        "- 1\n",
        "1: 2\n",
        "",
        "a: [",
        "a: \x00",
        "a: " + "[" * 200,
        "when: 2026-11-20\nsha256: x\n",
        "a: !!binary aGk=\nsha256: x\n",
        "x: " + "y" * MAX_BYTES,
        "<<: 1\n",
    ],
)
def test_odd_yaml_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(BadInput) as refused:
        verify(file)
    assert str(refused.value).startswith(str(file)) and "\n" not in str(refused.value)


def test_a_link_a_folder_and_nothing_are_no_promotion(tmp_path: Path) -> None:
    put(DATA, tmp_path / "p.yaml")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "p.yaml")
    for name, refusal in (
        ("link.yaml", "not a plain file"),
        (".", "not a plain file"),
        ("none.yaml", "no such file"),
    ):
        with pytest.raises(BadInput, match=refusal):
            verify(tmp_path / name)
