"""A shell script, or what `bash -c` runs, gives the commands that it would run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from study.init_spec.forms.command import UnitCommand, Values
from study.init_spec.forms.expansion import expanded, in_home, names_in
from study.init_spec.forms.named_text import text_of
from study.init_spec.forms.words import NAME, Operator, Word, WordPart, split
from study.systemd.unit_file import env_values

ASSIGNED = re.compile(r"([A-Za-z_]\w*)(\+?)=", re.ASCII)
BUILTINS = {"set", "trap", "ulimit", "echo", "sleep", "mkdir", "rm", "wait", "true", ":", "umask"}
BUILTINS |= {"printf", "test", "[", "[[", "shift", "local", "declare", "readonly", "unset", "alias"}
OPENS, CLOSES = ("if", "while", "for", "case", "until"), ("fi", "done", "esac")
OWN_FOLDER = re.compile(r"\$\(.{0,99}dirname.{0,99}(\$0|BASH_SOURCE|\$\{0\}).{0,99}\)", re.DOTALL)
WHICH = re.compile(r"\$\((?:which|command -v|type -p)\s+([\w./-]+)\)|`which ([\w./-]+)`")
MOST_RUNS = 50  # of files that are sourced and texts of `eval`, which may call themselves


def commands(text: str, begun: UnitCommand, script: Path | None = None) -> Iterator[UnitCommand]:
    """Yield the commands of a script in order, with the variables and folder that hold for each.

    What stands in the branches of an `if` counts where its test can be judged here.

    Args:
        begun: What runs the script: its environment, its folder and the script's own words.
        script: The file; None: the words of `-c`.
    """
    yield from _Shell(begun, script).run(text)


class _Shell:
    def __init__(self, begun: UnitCommand, script: Path | None) -> None:
        self.begun, self.script, self.folder = begun, script, begun.folder
        self.env = dict(begun.env)
        self.values: dict[str, str | tuple[str, ...]] = {"PWD": str(begun.folder), **begun.env}
        self.values |= {"@": begun.argv[1:], **{str(n): w for n, w in enumerate(begun.argv)}}
        self.exports_all = False
        self.runs = 0
        self.branches: list[bool] = []
        self.interpreter: str | None = begun.interpreter
        self.plumbing: set[str] = set()

    def run(self, text: str) -> Iterator[UnitCommand]:
        self.runs += 1
        if self.runs > MOST_RUNS:
            return
        words: list[Word] = []
        is_piped, before = False, ""
        for token in [*split(text), Operator("\n")]:
            if isinstance(token, Operator):
                is_redirection = ">" in token.text or "<" in token.text
                if is_redirection:
                    before = token.text
                    continue
                if words and not is_piped:
                    is_beside = token.text == "&"
                    for command in self._one(words):
                        yield replace(command, is_background=True) if is_beside else command
                is_piped, words, before = token.text in ("|", "|&"), [], ""
                continue
            if before:  # a file of a redirection; that of `2>&1` is a digit
                before = ""
                continue
            words.append(token)

    def _one(self, words: list[Word]) -> Iterator[UnitCommand]:
        words = self._in_branch(words)
        words = self._assigned(words) if words and all(self.branches) else []
        if not words:
            return
        match first if (first := "".join(expanded(words[0], self.values)[:1])) else "":
            case "export" | "declare" | "typeset" | "readonly" | "local":
                for word in words[1:]:
                    self._assigned([word])
                    self._export(word)
            case "set":
                self.exports_all = any(p.text in ("-a", "-ae", "-o") for w in words for p in w)
            case "cd" | "pushd":
                self.folder = self._place(words[1:2])
                self.values["PWD"] = str(self.folder)
            case "." | "source":
                yield from self._source(self._place(words[1:2]))
            case "conda" | "mamba" | "micromamba" if "activate" in _texts(words):
                self.interpreter = conda_python(_texts(words)[-1])
            case "eval":
                yield from self.run(" ".join(p for w in words[1:] for p in self._filled(w)))
            case name if name not in BUILTINS:
                yield self._command(words)

    def _in_branch(self, words: list[Word]) -> list[Word]:
        """Take the words of `if`, `else` and the like from the front; return the command."""
        first = words[0][0].text if len(words[0]) == 1 else ""
        while first in ("then", "do", "else", "elif", "{", "}", "!", "time"):
            if first in ("else", "elif") and self.branches:
                self.branches[-1] = first == "else" and not self.branches[-1]
            words = words[1:]
            first = words[0][0].text if words and len(words[0]) == 1 else ""
        if first in OPENS:
            is_endless = first == "while" and _texts(words[1:]) in (["true"], [":"], ["1"])
            self.branches.append(is_endless or (first == "if" and self._holds(words[1:])))
            return []
        if first in CLOSES:
            self.branches = self.branches[:-1]
            return []
        return words

    def _command(self, words: list[Word]) -> UnitCommand:
        begun = replace(
            self.begun,
            env=self.env,
            folder=self.folder,
            script=str(self.script) if self.script else self.begun.script,
            interpreter=self.interpreter,
            opened=self.begun.opened | ({self.script} if self.script else set()),
            plumbing=self.begun.plumbing | frozenset(self.plumbing),
        )
        words = [self._resolved(w) for w in words]
        return begun.with_words(words, self.values)

    def _filled(self, word: Word) -> list[str]:
        self.plumbing |= names_in(word) - {"@"}
        return expanded(self._resolved(word), self.values)

    def _resolved(self, word: Word) -> Word:
        """Return a word with what `~` and `$(...)` certainly are: a home, the script's folder."""
        first, *rest = word
        if first.name is None:
            first = WordPart(in_home(first.text, self.values))
        parts = (first, *rest)
        return tuple(WordPart(self._substituted(p.text)) if p.name is None else p for p in parts)

    def _substituted(self, text: str) -> str:
        own = str(self.script.parent) if self.script else str(self.folder)
        text = OWN_FOLDER.sub(own, text) if "dirname" in text else text
        return WHICH.sub(lambda m: m[1] or m[2], text)

    def _assigned(self, words: list[Word]) -> list[Word]:
        """Take the assignments that a command begins with; return the rest.

        Those before a command hold for it; they are kept, since nothing but it counts here.
        """
        rest = [*words]
        while rest and rest[0][0].name is None and (match := ASSIGNED.match(rest[0][0].text)):
            word = rest.pop(0)
            name, adds, text = match[1], bool(match[2]), word[0].text[match.end() :]
            if text == "(" and len(word) == 1:
                end = next((n for n, w in enumerate(rest) if w == (WordPart(")"),)), len(rest))
                value: str | tuple[str, ...] = tuple(p for w in rest[:end] for p in self._filled(w))
                rest = rest[end + 1 :]
            else:
                inner = (WordPart(text), *(replace(p, splits=False) for p in word[1:]))
                value = "".join(self._filled(inner))
            old = self.values.get(name)
            if adds and isinstance(value, tuple):
                value = (*(old if isinstance(old, tuple) else (old,) if old else ()), *value)
            elif adds:
                value = f"{old or ''}{value}"
            self.values[name] = value
            if isinstance(value, str) and (self.exports_all or name in self.env or rest):
                self.env[name] = value
        return rest

    def _export(self, word: Word) -> None:
        match = NAME.match(word[0].text)
        if match and isinstance(value := self.values.get(match[0]), str):
            self.env[match[0]] = value

    def _place(self, words: list[Word]) -> Path:
        named = "".join(piece for w in words for piece in self._filled(w))
        place = self.folder / named if named else self.folder
        if not place.exists() and self.script is not None:  # started from beside the script
            beside = self.script.parent / named
            return beside if beside.exists() else place
        return place

    def _source(self, file: Path) -> Iterator[UnitCommand]:
        if file.name == "activate":
            self.interpreter = str(file.with_name("python"))
            return
        if (text := text_of(file)) is None:
            return
        if file.suffix == ".env" or file.name.startswith(".env"):
            for name, value in env_values(text).items():
                self.values[name] = value
                if self.exports_all:
                    self.env[name] = value
            return
        yield from self.run(text)

    def _holds(self, words: list[Word]) -> bool:
        """Judge a test of strings or files; any other does not hold."""
        texts = ["".join(self._filled(w)) for w in words]
        texts = [t for t in texts if t not in ("[", "[[", "]", "]]", "test")]
        is_not = texts[:1] == ["!"]
        match texts[is_not:]:
            case ["-n", value] | [value]:
                holds = bool(value)
            case ["-z", value]:
                holds = not value
            case [("-f" | "-e" | "-r" | "-s" | "-d" | "-x"), value]:
                holds = (self.folder / value).exists()
            case [one, "=" | "==", other]:
                holds = one == other
            case [one, "!=", other]:
                holds = one != other
            case _:
                return False
        return holds is not is_not


def _texts(words: list[Word]) -> list[str]:
    return ["".join(p.text for p in w) for w in words]


def conda_python(name: str) -> str | None:
    """Return the interpreter of a conda environment where it is on this machine; else None."""
    homes = [Path.home(), Path("/opt"), Path("/root"), *Path("/home").glob("*")]
    kinds = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "conda", "micromamba")
    folders = [Path(name)] if "/" in name else [h / k / "envs" / name for h in homes for k in kinds]
    return next((str(p) for f in folders if (p := f / "bin/python").exists()), None)


def values_of(command: UnitCommand) -> Values:
    """Return what a command's words may name."""
    return command.env
