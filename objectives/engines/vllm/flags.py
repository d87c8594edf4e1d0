"""This module says what flags of vLLM do to its memory, as read in its source. Pure.

Read in vLLM 0.26 and 0.32: engine/arg_utils.py, config/cache.py, config/scheduler.py,
config/vllm.py, utils/argparse_utils.py, platforms/cpu.py, v1/worker/gpu_worker.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from re import fullmatch

from objectives.allocation import Scalar
from objectives.model_files.json_file import whole

# What sets the KV cache whatever the share is: the flag, the least of it that vLLM's parser takes
# for it (its own log advises `--kv-cache-memory`), and why it overrides the share.
OVERRIDES: Mapping[str, tuple[str, str]] = {
    "kv-cache-memory-bytes": ("kv-cache-mem", "it sets the KV cache whatever the share is"),
    "num-gpu-blocks-override": ("num-g", "it sets the KV cache's blocks whatever the share is"),
    "config": ("config", "its file may set kv-cache-memory-bytes, and the study does not see it"),
}
DEFAULT_SHARE = 0.92  # where no flag sets it, as read in 0.25 and 0.32; it was 0.9 in older ones
SHARE_OPTION = "gpu_memory_utilization"
SHARE_FLAGS: Mapping[str, str] = {
    "gpu-memory-utilization": "gpu",
    "device-memory-utilization": "device-mem",
}
# variables of the environment, with the values that leave the share alone
OVERRIDING_VARIABLES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "VLLM_CPU_KVCACHE_SPACE": (("",), "it sets the KV cache whatever the share is"),
    "VLLM_ENABLE_STARTUP_PLAN": (
        ("0",),
        "it gives one trial the KV cache of another: what it keeps does not know the share",
    ),
}
# what neither weights, activations, graphs nor the KV cache depend on
OF_NO_MEMORY = frozenset(
    {"seed", "scheduling_policy", "disable_log_stats", "disable_log_requests"}
    | {"enable_log_requests", "max_log_len", "uvicorn_log_level"}
)
MULTIPLES = {"k": 1000, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
# option: the other option, and its value, beside which vLLM ignores it (no graph is captured)
IDLE_BESIDE: Mapping[str, tuple[str, Scalar]] = {
    "max_cudagraph_capture_size": ("enforce_eager", True),
    "cudagraph_capture_sizes": ("enforce_eager", True),
}


def flag_name(word: str) -> str | None:
    """Return the name of a flag as vLLM's parser reads it; None where the word is no flag.

    >>> flag_name("--kv_cache_memory_bytes=8G"), flag_name("4096")
    ('kv-cache-memory-bytes', None)
    """
    return word[2:].partition("=")[0].replace("_", "-") if word.startswith("--") else None


def is_share(word: str) -> bool:
    """Return whether a word of the command line sets the share, in full or cut short.

    >>> is_share("--gpu_memory_util=0.5"), is_share("--gpus")
    (True, False)
    """
    name = flag_name(word) or ""
    return any(_is_short_for(name, full, least) for full, least in SHARE_FLAGS.items())


def missing_share(
    parameter: str, named: Collection[str], args: Iterable[str]
) -> tuple[str, str] | None:
    """Return that nothing says a share, which would be nearly all; None where something does.

    Args:
        parameter: Its name in a spec.
        named: The options that the search space or the baseline names.
        args: More flags.
    """
    if SHARE_OPTION in named or any(map(is_share, args)):
        return None
    what = f"nothing says its share, which would be {100 * DEFAULT_SHARE:g} %"
    return what, f"search {parameter}, or name it in baseline or args"


@lru_cache(maxsize=4096)  # each launch of a study is asked for the words of its one command
def overriding(word: str) -> tuple[str, str] | None:
    """Return the flag that a word is and why it overrides the share; None where it does not.

    >>> overriding("--kv-cache-memory=8G")
    ('--kv-cache-memory-bytes', 'it sets the KV cache whatever the share is')
    """
    name = flag_name(word) or ""
    for full, (least, why) in OVERRIDES.items():
        if _is_short_for(name, full, least):
            return f"--{full}", why
    return None


def overriding_variable(name: str, value: str) -> str | None:
    """Return why a variable of the environment overrides the share; None where it does not."""
    harmless, why = OVERRIDING_VARIABLES.get(name, ((value,), ""))
    return None if value in harmless else why


def _is_short_for(name: str, full: str, least: str) -> bool:
    return full.startswith(name) and name.startswith(least)


def memory_options(options: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return those of a command's options that the memory of a start may depend on, by name.

    >>> memory_options({"seed": 1, "enforce-eager": True, "max_cudagraph_capture_size": 256})
    {'enforce_eager': True}
    """
    named = {name.replace("-", "_"): value for name, value in options.items()}
    return {
        name: value
        for name, value in sorted(named.items())
        if name not in OF_NO_MEMORY and not is_idle(name, named)
    }


def read_number(text: str | None) -> int | None:
    """Return a number as vLLM reads it; None for what is none, and for `auto`.

    >>> [read_number(text) for text in ("4096", "4k", "4K", "1.5k", "auto")]
    [4096, 4000, 4096, 1500, None]
    """
    match = fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([kKmMgG]?)", text or "")
    if match is None:
        return None
    return whole(int(float(match[1]) * MULTIPLES.get(match[2], 1)), most=2**50)


def is_idle(name: str, options: Mapping[str, Scalar]) -> bool:
    """Return whether an option does nothing beside the others, by name with underscores."""
    other, value = IDLE_BESIDE.get(name, ("", None))
    return value is not None and options.get(other) is value
