"""Wakers wake a service that sleeps; a command shows whether it is our front."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import get_args

from objectives.on_demand import front
from objectives.services import LlmWaker, Waker

FRONT: Waker = "front"
LLAMA_SWAP: Waker = "llama_swap"
SOCKET: Waker = "socket_activation"
WAKERS = "front (ours), llama_swap or socket_activation"
FRONT_FILE = PurePath(front.__file__).parts[-2:]


def waker_fault(name: str, woken_by: str, own_wakers: Collection[str]) -> tuple[str, str] | None:
    """Return why what is said to wake a service in production cannot, and the way out.

    None: it may.

    Args:
        name: The name of the service.
        woken_by: What is said to wake it; empty: nothing.
        own_wakers: How what serves it wakes by itself.

    >>> waker_fault("stt", "front", ())
    >>> waker_fault("stt", "hope", ())[0]
    'nothing called hope is known to wake a service'
    """
    ways = ", ".join((*own_wakers, WAKERS))
    if not woken_by:
        what = "it is missing: where nothing wakes the service in production, it may not sleep"
        return what, f"name what does: {ways}"
    if woken_by in (*own_wakers, *get_args(Waker)):
        return None
    if woken_by in get_args(LlmWaker):
        what = f"what serves {name} does not unload its model by itself"
        return what, f"name what wakes it: {ways}"
    return f"nothing called {woken_by} is known to wake a service", f"name what wakes it: {ways}"


def front_words(argv: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Return the words of a front and those of the server behind it; None: it is no front.

    >>> front_words(("python", "/opt/objectives/on_demand/front.py", "--port", "1", "--", "serve"))
    (['--port', '1'], ['serve'])
    >>> front_words(("python", "serve.py"))
    """
    for place, (before, word) in enumerate(zip(["", *argv], argv, strict=False)):
        parts = PurePath(word).parts
        is_file = parts[-2:] == FRONT_FILE or parts == FRONT_FILE[-1:]
        if is_file or (before == "-m" and word == front.__name__):
            rest = list(argv[place + 1 :])
            end = rest.index("--") if "--" in rest else len(rest)
            return rest[:end], rest[end + 1 :]
    return None
