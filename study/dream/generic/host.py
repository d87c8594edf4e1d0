"""This command calls an evaluator once, in a process of its own.

Usage: `host.py REQUEST_FILE RESULT_FILE`. It is run as a plain file by any Python of version 3.8 or
newer, and imports the standard library only. The result is written whole or not at all.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import json
import os
import sys
import traceback
from typing import Any, Callable  # noqa: UP035  version 3.8 has no other


def load(path: str) -> Any:
    """Return the module of a file, whose folder comes first on the path, as for a script."""
    sys.path[0] = os.path.dirname(path)  # noqa: PTH120  the standard library of any version
    spec = importlib.util.spec_from_file_location("dream_evaluator", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there for their module
    spec.loader.exec_module(module)
    return module


def callable_of(evaluator: dict[str, Any]) -> Callable[..., Any]:
    """Return what is called with a candidate."""
    module = load(evaluator["path"])
    symbol = getattr(module, evaluator["symbol"], None)
    if symbol is None:
        raise LookupError(f"{evaluator['path']} has no {evaluator['kind']} {evaluator['symbol']}")
    if evaluator["kind"] == "function":
        function: Callable[..., Any] = symbol
        return function
    instance = symbol(**evaluator["init_kwargs"])
    method = getattr(instance, "evaluate", None)
    if not callable(method):
        raise TypeError(f"{evaluator['symbol']} of {evaluator['path']} has no evaluate()")
    bound: Callable[..., Any] = method
    return bound


def called(function: Callable[..., Any], candidate: Any, context: Any) -> Any:
    """Call it with the context too, where it has a place for one."""
    parameters = list(inspect.signature(function).parameters.values())
    if any(p.name == "context" and p.kind is p.KEYWORD_ONLY for p in parameters):
        return function(candidate, context=context)
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(places) >= 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return function(candidate, context)
    return function(candidate)


def plain(value: Any) -> Any:
    """Return what JSON has no word for as plain data: NumPy's numbers, dataclasses, others."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if callable(getattr(value, "tolist", None)):
        return value.tolist()
    return str(value)


def main(request_file: str, result_file: str) -> None:
    """Call the evaluator of a request, and write its result."""
    with open(request_file, encoding="utf-8") as file:  # noqa: PTH123
        request = json.load(file)
    try:
        evaluate = callable_of(request["evaluator"])
        answer = {"result": called(evaluate, request["candidate"], request["context"])}
        text = json.dumps(answer, default=plain)
    except Exception as error:  # whatever the user's code raises is the answer
        traceback.print_exc()
        kind = "memory" if isinstance(error, MemoryError) else "error"
        words = "".join(traceback.format_exception_only(type(error), error)).strip()
        text = json.dumps({"failure": kind, "error": words[-2000:]})
    draft = f"{result_file}.draft"
    with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
    os.replace(draft, result_file)  # noqa: PTH105


if __name__ == "__main__":
    main(*sys.argv[1:3])
