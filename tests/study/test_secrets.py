"""Twenty secrets are planted in a study; none is in what it writes, says or shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from made.factories import Outcome, cell, make
from processes.commands import run_script, run_study

from objectives.diagnosis.diagnosis import Diagnosis

SECRETS = [f"Tr0ub4dor-{n:02}" for n in range(20)]
ENV = dict(zip(("HF_TOKEN", "ANY_NAME", "VLLM_API_KEY", "A"), SECRETS, strict=False))
ARGS = [
    *("--access-key", SECRETS[4]),
    f"--hf-token={SECRETS[5]}",
    *("--auth", f"Bearer:{SECRETS[6]}"),
    *("--endpoint", f"https://me:{SECRETS[7]}@example.org/x"),
]
SAID = (
    "HF_TOKEN={}",
    "Authorization: Bearer {}",
    "password={}",
    "postgresql://me:{}@db/x",
    '"api_key": "{}"',
    "client_secret: {}",
    "--token {}",
    "AWS_SECRET_ACCESS_KEY={}",
    "x-api-key: {}",
    "passphrase={}",
    "credential={}",
    "access_token={}",
)


def telling(share: float, size: str) -> Outcome:
    """Return the usual outcome, with what a careless server logs as the evidence."""
    outcome = cell(share, size)
    if not isinstance(outcome, Diagnosis):
        return outcome
    words = (template.format(secret) for template, secret in zip(SAID, SECRETS[8:], strict=True))
    return replace(outcome, evidence=f"{outcome.evidence} {' '.join(words)}")


def test_no_secret_is_written_or_shown(tmp_path: Path) -> None:
    llm = {"model": "a/model", "env": ENV, "args": ARGS}
    stt = {"models": {"tiny": "a/tiny", "base": "a/base"}, "env": {"B": SECRETS[3]}}
    spec = make(tmp_path / "in", telling, repeats=1, changes={"services": {"llm": llm, "stt": stt}})
    out = tmp_path / "out"
    ran = run_study(spec, "--out", out)
    assert ran.returncode == 0, ran.stderr
    report = run_script("report.py", out / "made" / "study.db", "-o", out / "report.html")
    assert report.returncode == 0, report.stderr
    outputs = [ran.stdout, ran.stderr, report.stdout, report.stderr]
    files = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    files[tmp_path / "in/made.jsonl"] = (tmp_path / "in/made.jsonl").read_bytes()
    assert any(b"--access-key" in text for text in files.values()), "the commands are kept"
    assert any(b"ANY_NAME" in text for text in files.values()), "names are"
    for secret in SECRETS:
        assert not [text for text in outputs if secret in text]
        assert not [file.name for file, text in files.items() if secret.encode() in text], secret
