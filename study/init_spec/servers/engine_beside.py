"""A server of an LLM's engine beside the turn becomes an entry of `services:` of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from objectives.allocation import SHARE
from objectives.engines.llm_server import USUAL
from objectives.engines.registry import LLM_ENGINES, other_engine
from objectives.errors import BadInput
from objectives.services import OtherService
from study.init_spec.forms.running import Running
from study.init_spec.servers.beside_unit import API, NAMES, Beside, free_name, tenant
from study.init_spec.servers.flags import split_flags
from study.init_spec.servers.llm_unit import Llm, read_llm
from study.init_spec.servers.other_llm import read_other_llm
from study.server_words.programs import Program


def read_engine_beside(unit: Running, program: Program, taken: set[str]) -> Beside | str:
    """Read another server of an LLM's engine; a sentence where it stays a tenant.

    Args:
        unit: How it runs.
        program: What it is.
        taken: The names that others have.
    """
    name = free_name(NAMES[program.role], taken)
    try:
        llm = read_llm(unit) if program.key == USUAL else read_other_llm(unit, program)
    except BadInput as error:
        what = "a second LLM" if program.role == "llm" else "another server"
        return tenant(unit, f"{what} ({program.engine}) that is not read ({error})")
    llm = renamed(llm, f"{name}.")
    if llm.command is None and program.role != "llm":
        llm = replace(llm, args=_beside_turn(llm.args, program, name))
    return Beside(
        running=unit,
        name=name,
        api=API[program.role],
        command=llm.command or "",
        env=llm.env,
        health_path=llm.health_path,
        served_model=llm.served_model,
        port=llm.port,
        options=llm.options,
        flags=llm.flags,
        llm=llm,
        is_renamed=llm.is_usual,
    )


def _beside_turn(args: Sequence[str], program: Program, name: str) -> tuple[str, ...]:
    """Return the flags without those that the study sets beside the turn: how it pools.

    The `--task` of older versions also said that a generator ranks.
    """
    engine = other_engine(OtherService(api=API[program.role], engine=program.key), name)
    flags, _ = split_flags(args)
    kept = [w for n, vs in flags if not engine.sets_itself(n) for w in (n, *vs)]
    is_ranked = program.role == "rerank" and "--task" in args and "--convert" not in args
    return (*kept, *(("--convert", "classify") if is_ranked else ()))


def renamed(llm: Llm, prefix: str) -> Llm:
    """Return a server whose share and options are parameters of a service by another name."""
    share = {} if llm.share is None else {SHARE: llm.share}
    values, command, names = {**share, **llm.options}, llm.command, dict[str, str]()
    for old in values:
        option = LLM_ENGINES[USUAL].share_option if old == SHARE else old.partition(".")[2]
        names[old] = f"{prefix}{option}"
        command = command and command.replace("{" + old + "}", "{" + names[old] + "}")
    return replace(
        llm,
        command=command,
        options={names[old]: value for old, value in values.items()},
        flags={names[old]: llm.flags[old] for old in values},
    )
