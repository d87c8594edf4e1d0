"""This module names the workloads that a confirmation also measures under."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.errors import BadInput
from study.spec.model import HeldOut
from study.text import one_line

DEFAULT_HELD_OUT = (HeldOut("voice_assistant"),)
HELD_OUT_PRESETS = (*DEFAULT_HELD_OUT, HeldOut("multi_user"), HeldOut("long_context"))


def held_out_by_name(names: Sequence[str], of_spec: Sequence[HeldOut]) -> Sequence[HeldOut]:
    """Return the workloads of these names, each once; without names the spec's, or the default.

    Raises:
        BadInput: A name is neither a preset nor in the spec.

    >>> [h.name for h in held_out_by_name(["multi_user"], ())], held_out_by_name((), ())[0].name
    (['multi_user'], 'voice_assistant')
    """
    by_name = {h.name: h for h in (*HELD_OUT_PRESETS, *of_spec)}
    if unknown := [n for n in names if n not in by_name]:
        what = f"--workloads: there is no workload {unknown[0]!r}; choose {', '.join(by_name)}"
        raise BadInput(one_line(what))
    return [by_name[n] for n in dict.fromkeys(names)] or of_spec or DEFAULT_HELD_OUT
