"""Mutated specs and deployment files are read, or refused in a sentence."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from objectives.errors import StudyError
from study.deploy.config.load import load_deployment
from study.spec.load import load

from .campaign import mutated

ROOT = Path(__file__).parents[2]


@cache
def specs() -> tuple[bytes, ...]:
    """Return the specs that ship, and the one of the live test."""
    files = [*(ROOT / "study/specs").glob("*.yaml"), *(ROOT / "tests/specs").glob("*.yaml")]
    return tuple(file.read_bytes() for file in sorted(files))


@cache
def deployment() -> bytes:
    """Return the deployment file that ships."""
    return (ROOT / "study/deploy/example.yaml").read_bytes()


def attack(rng: random.Random) -> None:
    """Read one mutated spec and one mutated deployment file.

    Raises:
        AssertionError: A refusal names no file.
    """
    for texts, reader in ((specs(), load), ((deployment(),), load_deployment)):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "my.yaml"
            file.write_bytes(mutated(rng.choice(texts), rng))
            try:
                reader(file)
            except StudyError as error:
                message = str(error)
                message.encode()
                assert "\n" not in message.strip() and len(message) < 2000, message
