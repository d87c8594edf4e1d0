"""The options of a script: its docstring is its help, and a wrong option is one line like every other error."""

from __future__ import annotations

import argparse
from typing import NoReturn

from objectives.errors import BadInput


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(
            BadInput.exit_code,
            f"error: {message}; python scripts/{self.prog} --help explains the options\n",
        )


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with this help, which shows examples in place of the usual list of all options in brackets."""
    shape = argparse.RawDescriptionHelpFormatter
    return _Parser(usage=argparse.SUPPRESS, description=doc, formatter_class=shape)
