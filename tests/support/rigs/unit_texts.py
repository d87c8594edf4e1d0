"""`read` reads a file that starts a server beside the units of an LLM and of speech."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from study.init_spec.roles import UnitServices, services
from study.init_spec.sources import read_sources

LLM = "[Service]\nExecStart=/opt/v/bin/vllm serve org/m --gpu-memory-utilization 0.5\n"
FW = "[Service]\nExecStart=/opt/s/bin/faster-whisper-server --model base\n"
STT = "[Service]\nExecStart=/opt/s/bin/python /opt/s/server.py --model base\n"


def read(folder: Path, name: str, text: str, *others: str, **options: str) -> UnitServices:
    """Read a file beside the two units, HERE in it the folder; a unit is text without a head."""
    is_unit = name.endswith(".service") and "[Service]" not in text
    text = dedent(text).replace("HERE", str(folder))
    file = folder / name
    file.write_text(f"[Service]\n{text}" if is_unit else text)
    file.chmod(0o755)
    names = [str(folder / n) for n in (*others, name)]
    return services(read_sources(names), options.get("size"), options.get("llm_model"))
