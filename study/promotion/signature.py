"""A signature says who vouches for a promotion: OpenSSH's own, beside the file as `NAME.yaml.sig`.

`ssh-keygen -Y sign -f KEY -n gpu-allocation NAME.yaml` makes it; a file of allowed signers, as
ssh-keygen(1) describes it, says whose count.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from objectives.errors import BadInput, SetupError
from study.promotion.trust import check_trusted
from study.text import one_line

NAMESPACE = "gpu-allocation"
LONGEST_S = 20.0


def check_signed(path: Path, signers: Path) -> None:
    """Check that an allowed signer has signed a promotion as it is.

    Args:
        path: The promotion.
        signers: The file of allowed signers, which nobody else may write.

    Raises:
        BadInput: Nobody has, or the promotion was changed since.
        SetupError: There is no ssh-keygen here.
    """
    check_trusted(signers)
    signature = path.with_name(f"{path.name}.sig")
    way_out = f"sign it: `ssh-keygen -Y sign -f KEY -n {NAMESPACE} {path}`"
    if not signature.is_file():
        raise BadInput(f"{path}: it is not signed, and this deployment has `signers:`; {way_out}")
    files = ("-s", str(signature), "-f", str(signers))
    answer = _run("find-principals", *files, content=b"")
    names = answer.stdout.decode(errors="replace").split()
    for name in names:
        words = ("-n", NAMESPACE, "-I", name, *files)
        if _run("verify", *words, content=path.read_bytes()).returncode == 0:
            return
    why = "changed since it was signed" if names else f"signed by nobody whom {signers} names"
    raise BadInput(f"{path}: it was {why}; {way_out}, by one of them")


def _run(what: str, *words: str, content: bytes) -> subprocess.CompletedProcess[bytes]:
    argv = ("ssh-keygen", "-Y", what, *words)
    try:
        return subprocess.run(
            argv, input=content, capture_output=True, timeout=LONGEST_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(
            f"a signature cannot be checked ({one_line(str(error))}); install OpenSSH's ssh-keygen"
        ) from error
