"""A command has words, and what of the configuration surrounds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from study.init_spec.forms.expansion import OF_ENV, Blank, blanks_in, expanded, names_in
from study.init_spec.forms.running import Container
from study.init_spec.forms.words import Word

Values = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class UnitCommand:
    """A command is not yet unwrapped, or is down to the server's own words.

    Args:
        argv: Its words.
        env: The variables that its configuration sets.
        folder: The folder in which it runs.
        variables: The variable that the value behind a flag comes from, by flag.
        hidden: The variable that a flag itself stands in, by flag.
        plumbing: The variables that were read on the way.
        script: The script that has the flags; None: no script does.
        interpreter: The Python that it runs with, where the words do not say.
        container: What holds it; None: nothing.
        opened: The scripts through which it came.
        is_background: Whether a script goes on beside it.
        blanks: What variables without a value left empty on the way.
        env_files: The files that its variables are read from.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("/")
    variables: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    plumbing: frozenset[str] = frozenset()
    script: str | None = None
    interpreter: str | None = None
    container: Container | None = None
    opened: frozenset[Path] = frozenset()
    is_background: bool = False
    blanks: tuple[Blank, ...] = ()
    env_files: tuple[Path, ...] = ()

    def with_words(self, words: list[Word], values: Values) -> UnitCommand:
        """Return it with these words, filled in, and what was read for them."""
        names = frozenset(name for w in words for name in names_in(w))
        argv = tuple(piece for w in words for piece in expanded(w, values))
        return replace(
            self,
            argv=argv,
            variables={**self.variables, **variables_of(words, values)},
            hidden={**self.hidden, **hidden_in(words, values)},
            plumbing=self.plumbing | names,
            blanks=(*self.blanks, *blanks_in(words, values)),
        )


def hidden_in(words: list[Word], values: Values) -> dict[str, str]:
    """Return the variable that a flag itself stands in, by flag.

    >>> from study.init_spec.forms.words import split
    >>> hidden_in(split("vllm serve m $ARGS"), {"ARGS": "--share 0.5 --eager"})
    {'--share': 'ARGS', '--eager': 'ARGS'}
    """
    return {
        piece.partition("=")[0].replace("_", "-"): str(word[0].name)
        for word in words
        if word[0].name is not None and word[0].name != "@"
        for piece in expanded(word, values)
        if piece.startswith("-")
    }


def variables_of(words: list[Word], values: Values) -> dict[str, str]:
    """Return the variable that alone is the value of a flag, by flag; of `-e NAME=$X` by NAME.

    >>> from study.init_spec.forms.words import split
    >>> variables_of(split("--share ${S:-0.5} --model=$M --x a$B"), {})
    {'--share': 'S', '--model': 'M'}
    >>> variables_of(split("docker run -e SIZE=${X} image"), {})
    {'SIZE': 'X'}
    """
    variables: dict[str, str] = {}
    flag = ""
    for word in words:
        text = word[0].text if word[0].name is None else ""
        last = word[-1]
        if (flag in OF_ENV or text.startswith("--env=")) and len(word) == 2 and last.name:
            variables[text.removeprefix("--env=").rstrip("=")] = last.name
            flag = ""
            continue
        if text.startswith("-") and len(word) == 2 and text.endswith("=") and last.name:
            variables[text[:-1].replace("_", "-")] = last.name
        elif flag and len(word) == 1 and last.name and len(expanded(word, values)) <= 1:
            variables[flag] = last.name
        flag = text.replace("_", "-") if len(word) == 1 and text.startswith("-") else ""
    return {flag: name for flag, name in variables.items() if not name.isdigit() and name != "@"}
