"""A chain of versions holds, or says where it was broken."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from objectives.errors import BadInput
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain

WRITTEN_BY_0_1: list[dict[str, Any]] = [  # the two records of a chain, as commit 6ecada2 wrote them
    {
        "number": 0,
        "values": {
            "llm": {"vllm_memory_util": "0.5"},
            "stt": {"whisper_model_size": "/models/base"},
        },
        "units": {"voice.env": "abc"},
        "files": {"voice.env": "467d6b20f12a0b132d4a0ccd97dab9136e39957430c2cfc896d0124bd0295253"},
        "parent": None,
        "author": "owner",
        "at": "2026-11-28T16:28:39+00:00",
        "promotion": None,
        "promotion_sha256": None,
        "restores": None,
        "device": None,
        "driver": None,
        "versions": {},
        "neighbours": [],
        "sha256": "38575263012e7a4483c6b2d92509cc63194d46dd3c75804a09460cfc36747675",
    },
    {
        "number": 1,
        "values": {
            "llm": {"vllm_memory_util": "0.55"},
            "stt": {"whisper_model_size": "tiny"},
        },
        "units": {"voice.env": "abc"},
        "files": {"voice.env": "76eec93e88ac1ad3323fbeb80c50e4d3b0a4ae208b059165b35ed66905303d27"},
        "parent": "38575263012e7a4483c6b2d92509cc63194d46dd3c75804a09460cfc36747675",
        "author": "owner",
        "at": "2026-11-28T16:28:39+00:00",
        "promotion": "gpu_h100_20261125_013624.yaml",
        "promotion_sha256": "cb4d151d1b0c95a9",
        "restores": None,
        "device": "GPU-1",
        "driver": "580.1",
        "versions": {"vllm": "0.26.0"},
        "neighbours": ["a.service"],
        "sha256": "19a25d8e8998d71c071902cdb0b78499fb46dc5967af14dbf69221452d32df9b",
    },
]
FILES_OF_0_1 = ("SHARE=0.5\nWHISPER_MODEL=/models/base\n", "SHARE=0.55\nWHISPER_MODEL=tiny\n")


def test_a_chain_of_0_1_holds_and_another_version_follows_it(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for record, text in zip(WRITTEN_BY_0_1, FILES_OF_0_1, strict=True):
        folder = chain.path(record["number"])
        folder.mkdir(parents=True)
        (folder / "version.json").write_text(json.dumps(record, indent=1))
        (folder / "voice.env").write_text(text)
    chain.put_in_force(1)
    newest, first = chain.history()
    assert "gpu_h100_20261125_013624.yaml" in str(newest) and first.is_own
    back = chain.draft(replace(first, restores=0), {"voice.env": FILES_OF_0_1[0]})  # a rollback
    chain.put_in_force(back.number)
    assert [v.number for v in chain.history()] == [2, 1, 0]


def version(values: Mapping[str, Any]) -> Version:
    return Version(-1, {"llm": values, "stt": {}}, {"judge.service": "abc"}, {})


def chain_of(folder: Path, n: int) -> Chain:
    chain = Chain(folder)
    for k in range(n):
        draft = chain.draft(
            version({"vllm_memory_util": f"0.{k + 3}"}), {"judge.service.conf": f"# {k}\n"}
        )
        chain.put_in_force(draft.number)
    return chain


def test_the_chain_leads_from_the_version_in_force_to_the_first(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, 3)
    assert [v.number for v in chain.history()] == [2, 1, 0]
    assert [v.parent for v in chain.history()][:2] == [v.sha256 for v in chain.history()][1:]
    draft = chain.draft(version({}), {})
    assert draft.number == 3 and [v.number for v in chain.history()] == [2, 1, 0]
    chain.discard(3)
    chain.discard(2)
    assert [v.number for v in chain.history()] == [2, 1, 0]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("name", ["version.json", "judge.service.conf"])
def test_a_version_that_was_changed_breaks_the_chain_by_name(
    tmp_path: Path, number: int, name: str
) -> None:
    chain = chain_of(tmp_path, 3)
    file = chain.path(number) / name
    file.write_text(file.read_text().replace('"0.', '"0.9').replace("# ", "# more "))
    with pytest.raises(BadInput, match=rf"version {number} was changed after it was written"):
        chain.history()


def test_a_version_whose_hash_was_made_again_breaks_the_chain_at_the_next(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, 3)
    file = chain.path(1) / "version.json"
    forged = replace(chain.read(1), author="somebody")
    file.write_text(
        json.dumps(
            {**json.loads(file.read_text()), "author": "somebody", "sha256": forged.digest()}
        )
    )
    with pytest.raises(BadInput, match="what came before version 2 is missing"):
        chain.history()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
def test_copies_of_units_are_roots_alone_and_others_still_read_the_chain(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    chain = Chain(tmp_path / "voice")
    files = {"judge.service.conf": "ExecStart=/bin/x --api-key sk-1\n", "ready.py": "pass\n"}
    chain.put_in_force(chain.draft(Version(0, {}, {}, {}), files).number)
    modes = {n: stat.S_IMODE((chain.path(0) / n).stat().st_mode) for n in files}
    assert modes == {"judge.service.conf": 0o600, "ready.py": 0o644}
    os.seteuid(65534)
    try:
        current = chain.current()
    finally:
        os.seteuid(0)
    assert current is not None and current.number == 0
    (chain.path(0) / "judge.service.conf").write_text("other")
    with pytest.raises(BadInput, match="was changed after it was written"):
        chain.current()


def test_a_link_to_a_version_that_is_not_there_says_where_to_lead_it(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.draft(Version(0, {}, {}, {}), {})
    chain.link.symlink_to("versions/0099")
    with pytest.raises(BadInput, match=r"no version; .*ln -sfn versions/0000"):
        chain.history()
