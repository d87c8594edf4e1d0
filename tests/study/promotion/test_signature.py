"""A promotion is signed by whom the deployment's owner names, as it is, or it is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from objectives.errors import BadInput
from study.promotion.signature import NAMESPACE, check_signed

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


def sign(key: Path, file: Path, namespace: str = NAMESPACE) -> None:
    file.with_name(f"{file.name}.sig").unlink(missing_ok=True)
    words = ("ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(file))
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    for name in ("key", "stranger"):
        words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name))
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "signers").write_text(f'owner@example namespaces="{NAMESPACE}" {public}')
    (tmp_path / "p.yaml").write_text("status: confirmed\n")
    for name in ("signers", "p.yaml"):
        (tmp_path / name).chmod(0o644)
    return tmp_path / "key"


def test_what_an_allowed_signer_signed_is_taken(key: Path, tmp_path: Path) -> None:
    sign(key, tmp_path / "p.yaml")
    check_signed(tmp_path / "p.yaml", tmp_path / "signers")


@pytest.mark.parametrize("fault", ["none", "changed", "stranger", "namespace", "garbage"])
def test_what_they_did_not_sign_as_it_is_is_refused(key: Path, tmp_path: Path, fault: str) -> None:
    file = tmp_path / "p.yaml"
    match fault:
        case "changed":
            sign(key, file)
            file.write_text("status: confirmed\nx: 1\n")
        case "stranger":
            sign(tmp_path / "stranger", file)
        case "namespace":
            sign(key, file, "file")
        case "garbage":
            (tmp_path / "p.yaml.sig").write_bytes(b"\xff\x00" * 100)
    with pytest.raises(BadInput, match="ssh-keygen -Y sign") as refusal:
        check_signed(file, tmp_path / "signers")
    assert "\n" not in str(refusal.value)


def test_signers_whom_others_could_name_are_refused(key: Path, tmp_path: Path) -> None:
    sign(key, tmp_path / "p.yaml")
    (tmp_path / "signers").chmod(0o666)
    with pytest.raises(BadInput, match="others may write"):
        check_signed(tmp_path / "p.yaml", tmp_path / "signers")
