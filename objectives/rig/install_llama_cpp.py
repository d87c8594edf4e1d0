"""This module installs llama.cpp's server for tests, and a tiny model for it.

The server comes from the package xllamacpp, since no package carries the program `llama-server`
itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

RIG = Path(__file__).parent
LLAMA_CPP = "xllamacpp==2026.10.11549"
PACKAGES = (LLAMA_CPP, "gguf==0.19.0")
PROGRAM = "llama-server"
Step = Callable[[tuple[str, ...], str], None]


def install_llama_cpp(venv: Path, step: Step) -> None:
    """Build a venv for the server, with tiny.gguf; its stamp comes last.

    Args:
        venv: The folder.
        step: It runs a command, said in words.

    Raises:
        SetupError: A step failed.
    """
    python = venv / "bin/python"
    step((sys.executable, "-m", "venv", "--clear", str(venv)), "making llama.cpp's venv")
    pip = (str(python), "-m", "pip", "install", "--progress-bar", "off", *PACKAGES)
    step(pip, f"pip install {' '.join(PACKAGES)}")
    model = (str(python), str(RIG / "tiny_gguf.py"), str(venv / "tiny.gguf"))
    step(model, "writing a tiny model for it")
    (venv / ".installed").write_text(LLAMA_CPP)


def write_program(venv: Path) -> None:
    """Write bin/llama-server into that venv, in place of an older one."""
    program = venv / "bin" / PROGRAM
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!{venv / 'bin/python'}\n{(RIG / 'llama_server.py').read_text()}")
    program.chmod(0o755)
