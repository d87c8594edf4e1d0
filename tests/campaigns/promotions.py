"""Mutated promotions, also sealed anew, and a rollout's own records are read or refused."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from objectives.errors import BadInput
from study.deploy.admission import admit
from study.deploy.config.deployed import Binding, Deployed
from study.deploy.config.deployment import Deployment
from study.deploy.state import pending
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.promotion.schema import SCHEMA
from study.promotion.seal import put, verify

from .campaign import mutated

ODD = (None, "", "x\nUser=root", -1, 1e308, float("nan"), 10**400, [], {}, [[]], True, "../../x")
SHARE = Binding(flag="--gpu-memory-utilization", low=0.1, high=0.9)
SIZE = Binding(variable="WHISPER_MODEL", choices={"tiny": "tiny", "base": "/models/base"})
SERVICES = {
    "llm": Deployed(set={"vllm_memory_util": SHARE}, unit="judge.service"),
    "stt": Deployed(set={"whisper_model_size": SIZE}, unit="whisper.service"),
}
CHANGE = pending.Pending("apply", 0, 1, "abc", None, 9.0, 7, 1.0, "boot", ("promote.py",))


def promotion() -> dict[str, Any]:
    """Return one that is admitted."""
    return {
        "schema": SCHEMA,
        "status": "confirmed",
        "measured_elsewhere": False,
        "parameters": {"vllm_memory_util": 0.55, "whisper_model_size": "base"},
        "metrics": {"winner": {"llm_kv_tokens": 1000, "stt_memory_mib": 600.0}},
        "device": {"uuid": "GPU-1", "driver": "580.1"},
        "versions": {"llm": {}, "stt": {"faster-whisper": "1.2.1"}},
        "commands": {"stt": "python t.py --beam-size 5"},
        "confirmation": {"verdict": "confirmed"},
        "written_at": datetime.now(UTC).isoformat(),
    }


def attack(rng: random.Random) -> None:
    """Read one promotion of mutated bytes, admit one of odd values, read one damaged state.

    Raises:
        AssertionError: Something reached production that is no plain value in its bounds.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        deployment = Deployment(name="voice", services=SERVICES, state=name, device="none")
        file = folder / "p.yaml"
        put(promotion(), file)
        file.write_bytes(mutated(file.read_bytes(), rng))
        with suppress(BadInput):
            assert verify(file) == {**promotion(), **yaml.safe_load(file.read_text())}
        _odd(deployment, file, rng)
        _state(deployment, rng)


def _odd(deployment: Deployment, file: Path, rng: random.Random) -> None:
    data = promotion()
    for _ in range(rng.randint(1, 3)):
        at: Any = data
        key = rng.choice([*at])
        while isinstance(at[key], dict) and at[key] and rng.random() < 0.6:
            at = at[key]
            key = rng.choice([*at])
        at[key] = rng.choice(ODD)
    with suppress(BadInput, ValueError, TypeError, yaml.YAMLError):
        put(data, file)
    with suppress(BadInput):
        admitted = admit(file, deployment, None, i_know=True)
        texts = {a.parameter: a.text for a in admitted.assigned}
        assert set(texts.values()) <= {"0.55", "tiny", "/models/base"} or (
            0.3 <= float(texts["vllm_memory_util"] or 0) <= 0.7
        ), texts


def _state(deployment: Deployment, rng: random.Random) -> None:
    chain = Chain(deployment.folder)
    for n in range(2):
        version = Version(n, {}, {}, {}, promotion="a")
        chain.put_in_force(chain.draft(version, {"env": "A=1\n"}).number)
    pending.write(deployment.folder, CHANGE)
    pending.note(deployment.folder, "seen", {"promotion_sha256": "a"})
    files = [p for p in deployment.folder.rglob("*") if p.is_file() and not p.is_symlink()]
    victim = rng.choice(files)
    victim.write_bytes(mutated(victim.read_bytes(), rng))
    if rng.random() < 0.2:
        target = rng.choice(("versions/x", "versions/99", "/", "versions", "versions/0001/../x"))
        chain.link.unlink()
        chain.link.symlink_to(target)
    readers: tuple[Callable[[], object], ...] = (
        lambda: pending.read(deployment.folder),
        lambda: pending.events(deployment.folder),
        chain.current,
        chain.history,
    )
    for read in readers:
        with suppress(BadInput):
            json.dumps(read(), default=str)
