"""A chain of versions holds, or says where it was broken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from objectives.errors import BadInput
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain


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
