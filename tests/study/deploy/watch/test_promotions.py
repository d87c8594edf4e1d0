"""The watch applies by itself only what nobody else could have written, and after its own hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from made.factories import Card

from objectives.errors import BadInput
from study.deploy.admission import admit, check_digest, check_newer
from study.deploy.config.deployed import Binding, Deployed
from study.deploy.config.deployment import Deployment, Watching
from study.deploy.state import pending
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.deploy.watch import promotions as module
from study.deploy.watch.event import Event
from study.deploy.watch.promotions import is_verdict, promotions
from study.promotion.schema import SCHEMA
from study.promotion.seal import put

NOW = datetime.now(UTC)
SHARE = Binding(flag="--gpu-memory-utilization", low=0.1, high=0.9)
LLM = Deployed(set={"vllm_memory_util": SHARE}, unit="judge.service")


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Return a deployment whose watch may apply; what it applies is an event and no more."""

    def applied(deployment: Deployment, admitted: Any, say: Any) -> Iterator[Event]:
        yield "applying", {"promotion": admitted.path.name}

    monkeypatch.setattr(module, "device_of", lambda deployment: Card())
    monkeypatch.setattr(module, "apply_promotion", applied)
    (tmp_path / "promotions").mkdir(mode=0o755)
    watching = Watching(promotions="promotions", auto=True, hold_days=7)
    services = {"llm": LLM, "stt": Deployed(set={}, unit="whisper.service")}
    file = tmp_path / "deployment.yaml"
    return Deployment("voice", services, state=str(tmp_path / "state"), watch=watching, path=file)


def written(deployment: Deployment, name: str, at: datetime, share: float = 0.55) -> Path:
    file = deployment.promotions_folder / f"{name}.yaml"
    data = {
        "schema": SCHEMA,
        "status": "confirmed",
        "measured_elsewhere": False,
        "parameters": {"vllm_memory_util": share},
        "metrics": {"winner": {}},
        "device": {"uuid": "GPU-1", "driver": "580.1"},
        "confirmation": {"verdict": "confirmed", "cards": ["GPU-1"], "drivers": ["580.1"]},
        "written_at": at.isoformat(),
    }
    put(data, file)
    file.chmod(0o644)
    return file


def looked(deployment: Deployment) -> dict[str, Any]:
    return {name: dict(more) for name, more in promotions(deployment, print)}


def test_a_change_whose_process_ended_was_not_judged(tmp_path: Path) -> None:
    pending.note(tmp_path, "rolled_back", {"why": "p95"})
    pending.note(tmp_path, "rolled_back", {"why": "it died", "died_in": "soak"})
    pending.note(tmp_path, "rolled_back", {"why": "its process ended in step: soak"})  # of 0.1
    why = "its process ended by signal 11"  # of a server, as a probe has said it
    pending.note(tmp_path, "rolled_back", {"why": why, "died_in": None})
    verdicts = [is_verdict(event) for event in pending.events(tmp_path)]
    assert verdicts == [True, False, False, True]


def test_the_hold_counts_from_first_sight_and_not_from_the_files_own_date(
    deployment: Deployment,
) -> None:
    written(deployment, "forged", NOW - timedelta(days=8))
    for _ in range(2):
        until = datetime.fromisoformat(looked(deployment)["holding"]["until"])
        assert timedelta(days=6.9) < until - NOW < timedelta(days=7.1)
    log = deployment.folder / "events.jsonl"
    [line] = log.read_text().splitlines()
    assert json.loads(line)["event"] == "seen"
    first = (NOW - timedelta(days=7, seconds=1)).isoformat()
    log.write_text(json.dumps({**json.loads(line), "at": first}) + "\n")
    assert looked(deployment) == {"applying": {"promotion": "forged.yaml"}}


@pytest.mark.parametrize("place", ["folder", "file"])
def test_what_others_could_have_written_is_refused(deployment: Deployment, place: str) -> None:
    file = written(deployment, "p", NOW)
    open_to_all = file if place == "file" else file.parent
    open_to_all.chmod(0o777)
    events = looked(deployment)
    assert set(events) == {"refused"}
    assert f"others may write {open_to_all}" in events["refused"]["why"]
    assert not deployment.folder.exists()
    by_hand = replace(deployment, watch=replace(deployment.watch, auto=False))
    then = looked(by_hand)["review_due"]["then"]  # apply looks again, and at what a person saw
    assert f"--sha256 {admit(file, deployment, Card()).sha256}" in then


def test_what_is_older_than_the_version_in_force_needs_a_word(deployment: Deployment) -> None:
    chain = Chain(deployment.folder)
    in_force = Version(0, {}, {}, {}, promotion="a", promotion_at=NOW.isoformat())
    chain.put_in_force(chain.draft(in_force, {}).number)
    old = written(deployment, "old", NOW - timedelta(days=1))
    assert "before version 0, which is in force" in looked(deployment)["refused"]["why"]
    admitted = admit(old, deployment, Card())
    with pytest.raises(BadInput, match="add --older"):
        check_newer(admitted, chain.current())
    check_newer(admitted, replace(in_force, promotion_at=None))
    new = written(deployment, "new", NOW + timedelta(hours=1), share=0.6)
    assert looked(deployment)["holding"]["promotion"] == "new.yaml"
    check_newer(admit(new, deployment, Card()), chain.current())


def test_a_file_that_was_exchanged_since_the_plan_is_refused(deployment: Deployment) -> None:
    digest = admit(written(deployment, "p", NOW), deployment, Card()).sha256
    check_digest(admit(written(deployment, "p", NOW), deployment, Card()), digest.upper())
    exchanged = admit(written(deployment, "p", NOW, share=0.6), deployment, Card())
    for text in (digest, digest[:12], "", "x\n"):
        with pytest.raises(BadInput, match=r"its content has sha256 .*promote\.py plan"):
            check_digest(exchanged, text)
