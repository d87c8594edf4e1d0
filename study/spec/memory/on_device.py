"""What a spec says of the LLM's memory becomes the unit that it searches, on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from objectives.allocation import MEMORY, SHARE, Scalar, share_of
from objectives.errors import BadInput
from objectives.search_space.parameter import Parameter
from study.spec.model import Spec, SpecFile
from study.text import one_line

WITHIN_MIB = 1.0  # of each other a share and an amount are the same


def on_device(spec: Spec, total_mib: float, product: str) -> Spec:
    """Return the spec with each amount of MiB a share of this device too.

    A baseline in the other unit becomes the value of the search that it is within 1 MiB. A spec
    that names shares only is the same everywhere.

    Args:
        total_mib: The memory of the device, MiB.
        product: Its name, for messages.

    Raises:
        BadInput: A share is outside the bounds, or the baseline is none of the searched values.
    """
    values, searched = dict(spec.baseline.values), {p.name: p for p in spec.search_space.parameters}
    if MEMORY not in searched and MEMORY not in values:
        return spec
    device = f"{product} with {total_mib:,.0f} MiB"
    if MEMORY in searched and MEMORY not in values:
        share = float(values.pop(SHARE))
        mib = _value(searched[MEMORY], share * total_mib, WITHIN_MIB)
        if mib is None:
            what = f"{share:g} of {device} is {share * total_mib:,.0f} MiB"
            raise _none_of(spec, SHARE, what, searched[MEMORY])
        values[MEMORY] = mib
    elif SHARE in searched and MEMORY in values:
        mib = float(values.pop(MEMORY))
        near = _value(searched[SHARE], mib / total_mib, WITHIN_MIB / total_mib)
        if near is None:
            what = f"{mib:,.0f} MiB of {device} is a share of {share_of(mib, total_mib):g}"
            raise _none_of(spec, MEMORY, what, searched[SHARE])
        values[SHARE] = near
    space = replace(spec.search_space, total_mib=total_mib)
    for mib in _amounts(searched.get(MEMORY), values):
        low, high = spec.bounds[SHARE]
        if not low <= (share := share_of(mib, total_mib)) <= high:
            raise _wrong(
                spec,
                MEMORY,
                f"{mib:,.0f} MiB are {share:g} of {device}, outside the bounds {low:g} to {high:g}",
                f"choose from there, or set `bounds: {{{SHARE}: [low, high]}}`",
            )
    return replace(spec, search_space=space, baseline=space.allocation(values))


def _amounts(parameter: Parameter | None, values: dict[str, Scalar]) -> list[float]:
    """Return every amount that the study may give the LLM, or the ends of their range, MiB."""
    several: Sequence[Scalar] = (values[MEMORY],) if MEMORY in values else ()
    if parameter is not None:
        several = parameter.choices or (parameter.low, parameter.high)
    return [float(mib) for mib in several]


def _value(parameter: Parameter, wanted: float, within: float) -> Scalar | None:
    """Return the value of a parameter that is nearest; None where none is near enough."""
    if parameter.size is None:
        is_inside = parameter.low - within <= wanted <= parameter.high + within
        return min(max(wanted, parameter.low), parameter.high) if is_inside else None
    nearest = min(parameter.values(), key=lambda value: abs(float(value) - wanted))
    return nearest if abs(float(nearest) - wanted) <= within else None


def _none_of(file: SpecFile, name: str, what: str, parameter: Parameter) -> BadInput:
    choices = ", ".join(map(str, parameter.choices)) or f"{parameter.low:g} to {parameter.high:g}"
    return _wrong(
        file,
        name,
        f"in use today: {what}, which is not in search_space.{parameter.name} ({choices})",
        "add it there, or name one of them",
    )


def _wrong(file: SpecFile, name: str, what: str, way_out: str) -> BadInput:
    """Return the error of one line; the device was not known when the file was read."""
    lines = [text.partition("#")[0] for text in file.text.splitlines()]
    places = [n for n, text in enumerate(lines, start=1) if name in text]
    line = (places[-1] if name == SHARE else places[0]) if places else None
    return BadInput(one_line(f"{name}: {what}; {way_out}"), str(file.path), line)
