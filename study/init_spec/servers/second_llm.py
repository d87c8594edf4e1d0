"""An LLM server beside the one that answers turns becomes an entry of `services:` of its own."""

from __future__ import annotations

from objectives.allocation import SHARE
from objectives.engines.engine import LLM_ENGINES
from objectives.engines.llm_server import USUAL
from objectives.errors import BadInput
from study.init_spec.forms.running import Running
from study.init_spec.servers.beside_unit import Beside, tenant
from study.init_spec.servers.llm_unit import read_llm
from study.init_spec.servers.other_llm import read_other_llm
from study.init_spec.servers.programs import Program

NAME = "llm2"


def read_second_llm(unit: Running, program: Program, taken: set[str]) -> Beside | str:
    """Read another LLM server; a sentence where it stays a tenant, which nothing measures.

    Args:
        unit: How it runs.
        program: What it is.
        taken: The names that others have.
    """
    try:
        llm = read_llm(unit) if program.key == USUAL else read_other_llm(unit, program)
    except BadInput as error:
        return tenant(unit, f"a second LLM ({program.engine}) that is not read ({error})")
    name = next(n for n in (NAME, *(f"llm{i}" for i in range(3, 99))) if n not in taken)
    share = {} if llm.share is None else {SHARE: llm.share}
    values, command, names = {**share, **llm.options}, llm.command, dict[str, str]()
    for old in values:
        option = LLM_ENGINES[USUAL].share_option if old == SHARE else old.partition(".")[2]
        names[old] = f"{name}.{option}"
        command = command and command.replace("{" + old + "}", "{" + names[old] + "}")
    return Beside(
        running=unit,
        name=name,
        api="completions",
        command=command or "",
        env=llm.env,
        health_path=llm.health_path,
        served_model=llm.served_model,
        port=llm.port,
        options={names[old]: value for old, value in values.items()},
        flags={names[old]: llm.flags[old] for old in values},
        llm=llm,
    )
