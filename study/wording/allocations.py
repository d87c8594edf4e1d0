"""An allocation is put in words here: in a sentence, as a label, or one parameter of it; pure."""

from __future__ import annotations

from collections.abc import Iterable

from objectives.allocation import MEMORY, OF_MEMORY, RESIDENT, SHARE, SPEECH, Allocation
from objectives.engines.places import PLACE
from objectives.figures import service_name

SHORT = {SHARE: "LLM share", MEMORY: "LLM memory", SPEECH: "speech"}


def memory_in_words(allocation: Allocation) -> str:
    """Return the LLM's memory as it is searched: a share in percent, or MiB; empty without one.

    >>> memory_in_words(Allocation({"vllm_memory_util": 0.375}))
    '37.5 %'
    >>> memory_in_words(Allocation({"vllm_memory_util": 0.281976, "vllm_memory_mib": 40540}))
    '40,540 MiB'
    """
    mib = allocation.memory_mib
    if not allocation.has_share:
        return ""
    return f"{100 * allocation.share:g} %" if mib is None else f"{float(mib):,.0f} MiB"


def allocation_in_words(allocation: Allocation) -> str:
    """Return an allocation in a sentence.

    >>> allocation_in_words(Allocation({"vllm_memory_util": 0.375, "whisper_model_size": "base"}))
    '37.5 % of the memory for the LLM, beside speech model base'
    """
    options = allocation.all_options
    more = ", ".join(f"{option_in_words(k, options)} {v}" for k, v in options.items())
    extra = f", with {more}" if more else ""
    if not allocation.has_share:
        return f"speech model {allocation.speech}{extra}"
    share = f"{memory_in_words(allocation)} of the memory for the LLM"
    return f"{share}, beside speech model {allocation.speech}{extra}"


def choice_in_words(allocation: Allocation, today: Allocation | None) -> str:
    """Return an allocation in a sentence, with what is in use today where that differs.

    >>> both = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    >>> today = Allocation(both | {"vllm.max_num_seqs": 64, "whisper.beam_size": 5})
    >>> choice_in_words(Allocation({**today.values, "vllm_memory_util": 0.55}), today)
    '55 % of the memory for the LLM, beside speech model base (today: 50 % + base)'
    >>> print(choice_in_words(Allocation({**today.values, "vllm.max_num_seqs": 32}), today))
    50 % of the memory for the LLM, beside speech model base, with max_num_seqs 32 instead of 64
    """
    if today is None:
        return allocation_in_words(allocation)
    names = (*OF_MEMORY, SPEECH)
    both = Allocation({k: v for k, v in allocation.values.items() if k in names})
    old, new = today.all_options, allocation.all_options
    changes = [
        f"{option_in_words(k, new)} {v} instead of {old.get(k)}"
        for k, v in new.items()
        if old.get(k) != v
    ]
    with_changes = f", with {', '.join(changes)}" if changes else ""
    pairs = f" (today: {pair(today)})" if pair(today) != pair(allocation) else ""
    return f"{allocation_in_words(both)}{with_changes}{pairs}"


def option_in_words(parameter: str, among: Iterable[str]) -> str:
    """Return the name of a server's option: without the server where only one has it.

    >>> option_in_words("vllm.max_num_seqs", ["vllm.max_num_seqs", "stt.place"])
    'max_num_seqs'
    >>> option_in_words("stt.place", ["stt.place"])
    'speech place'
    >>> option_in_words("llm.resident", ["llm.resident"])
    'LLM resident'
    >>> option_in_words("embed.batch", ["embed.batch", "ranks.batch"])
    'embed batch'
    """
    server, _, option = parameter.partition(".")
    is_alone = sum(name.partition(".")[2] == option for name in among) == 1
    is_clear = is_alone and option not in (PLACE, RESIDENT)
    return option if is_clear else f"{service_name(server)} {option}"


def pair(allocation: Allocation) -> str:
    """Return the LLM's memory, where it has a share of it, and the speech model, as a label.

    >>> both = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    >>> pair(Allocation(both | {"vllm.max_num_seqs": 64}))
    '50 % + base'
    >>> pair(Allocation({"whisper_model_size": "base", "llama.ctx_size": 8192}))
    'base'
    """
    return " + ".join(filter(None, (memory_in_words(allocation), allocation.speech)))


def short(allocation: Allocation, today: Allocation | None = None) -> str:
    """Return a configuration as a label.

    It has the LLM's share of the memory, the speech model, and what else is searched.

    Args:
        today: What is in use, to name of the rest only what differs from it

    >>> both = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    >>> one = Allocation(both | {"vllm.max_num_seqs": 64})
    >>> short(one), short(one, one)
    ('50 % + base, max_num_seqs=64', '50 % + base')
    """
    rest = "".join(
        f", {option_in_words(k, allocation.values)}={f'{v:g}' if isinstance(v, float) else v}"
        for k, v in allocation.values.items()
        if k not in (*OF_MEMORY, SPEECH) and (today is None or today.values.get(k) != v)
    )
    return pair(allocation) + rest


def label(parameter: str) -> str:
    """Return a parameter's name for a table, without the server's.

    >>> label("vllm_memory_util"), label("vllm.max_num_seqs"), label("card")
    ('LLM share', 'max_num_seqs', 'card')
    """
    return SHORT.get(parameter) or (
        option_in_words(parameter, [parameter]) if "." in parameter else parameter
    )
