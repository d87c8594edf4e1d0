"""The variables of a word are filled in, by which it may become several words, or none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from study.init_spec.caller import home
from study.init_spec.forms.words import Operator, Word, WordPart, split

OPTIONAL = re.compile(r"(?i).*(ARG|OPT|FLAG|PARAM|EXTRA).*")  # options, which need not be there
ASSIGNED = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
OF_ENV = ("-e", "--env")  # of `docker run`


@dataclass(frozen=True, slots=True)
class Blank:
    """A variable without a value leaves a word empty, or cuts it.

    Args:
        variable: The variable, as it is written.
        place: The flag, variable or key whose value it is; empty: none.
        is_set: Whether it is set, to nothing.
        matters: Whether the word is one that a server cannot do without.
    """

    variable: str
    place: str
    is_set: bool
    matters: bool


def names_in(word: Word) -> set[str]:
    """Return the variables that a word names."""
    return {p.name for p in word if p.name is not None}


def expanded(word: Word, values: Mapping[str, str | tuple[str, ...]]) -> list[str]:
    """Return the words that a word becomes; a variable that is not set is empty.

    >>> word = (WordPart("--a="), WordPart("${B:-1 2}", "B", "1 2", ":-"))
    >>> expanded(word, {}), expanded(word, {"B": "3"})
    (['--a=1 2'], ['--a=3'])
    >>> expanded((WordPart("$C", "C", splits=True),), {"C": "x y"})
    ['x', 'y']
    >>> expanded((WordPart("$C", "C"),), {})
    ['']
    """
    done: list[str] = []
    text, is_there = "", False
    for part in word:
        value = _value(part, values)
        if isinstance(value, tuple):
            if value:
                done += [text + value[0], *value[1:]]
                text, is_there = done.pop(), True
            continue
        if not part.splits:
            text, is_there = text + value, True
            continue
        pieces = re.split(r"\s+", value)
        for n, piece in enumerate(pieces):
            if n and (text or is_there):
                done.append(text)
                text, is_there = "", False
            text += piece
            is_there = is_there or bool(piece)
    return [*done, text] if text or is_there else done


def _value(part: WordPart, values: Mapping[str, str | tuple[str, ...]]) -> str | tuple[str, ...]:
    if part.name is None:
        return part.text
    value = values.get(part.name)
    is_set = value is not None and (value not in ("", ()) or not part.how.startswith(":"))
    if part.how.endswith("+"):
        return _filled(part.other or "", values) if is_set else ""
    if not is_set:
        is_default = part.other is not None and not part.how.endswith("?")
        return _filled(part.other or "", values) if is_default else ""
    assert value is not None  # noqa: S101
    return value


def _filled(text: str, values: Mapping[str, str | tuple[str, ...]]) -> str:
    """Fill in the variables of a default."""
    words = [w for w in split(text) if not isinstance(w, Operator)]
    return " ".join(piece for w in words for piece in expanded(w, values)) if "$" in text else text


def in_home(text: str, values: Mapping[str, str | tuple[str, ...]]) -> str:
    """Return a text with the home that a `~` at its beginning is.

    >>> in_home("~/models:/m", {"HOME": "/home/a"}), in_home("a~/b", {})
    ('/home/a/models:/m', 'a~/b')
    """
    if re.match("~(?=/|$)", text) is None:
        return text
    own = values.get("HOME")
    return (own if isinstance(own, str) and own else str(home())) + text[1:]


def blanks_in(words: Sequence[Word], values: Mapping[str, str | tuple[str, ...]]) -> list[Blank]:
    """Return what variables without a value leave empty in a command.

    >>> blanks = blanks_in(split("x -m $M --y $OPTS $OPTS"), {})
    >>> [(b.variable, b.place, b.matters) for b in blanks]
    [('$M', '-m', True), ('$OPTS', '--y', False), ('$OPTS', '', False)]
    >>> blanks = blanks_in(split("-m ${M:-a} --n=$N -e TOKEN=$T"), {"N": ""})
    >>> [(b.place, b.is_set, b.matters) for b in blanks]
    [('--n', True, True), ('TOKEN', False, False)]
    """
    found: list[Blank] = []
    flag = ""
    for word in words:
        text = word[0].text if word[0].name is None else ""
        name, is_joined, rest = text.partition("=")
        is_flag = text.startswith("-")
        place = name if is_flag else flag
        if is_flag and name in OF_ENV:
            place, text = rest.partition("=")[0], rest
        elif ASSIGNED.match(text) and flag in ("", *OF_ENV):
            place = name
        found += blanks_of(word, values, place, is_value=text == f"{name}=")
        flag = name if is_flag and not is_joined and len(word) == 1 else ""
    return found


def blanks_of(
    word: Word,
    values: Mapping[str, str | tuple[str, ...]],
    place: str,
    *,
    is_value: bool = False,
) -> Iterator[Blank]:
    """Yield the variables without a value in one word.

    Args:
        word: The word.
        values: The variables that are set.
        place: The flag, variable or key whose value it is; empty: none.
        is_value: Whether its first part is only the name of that.
    """
    is_whole = len(word) == (2 if is_value else 1)
    for part in word:
        if part.name is None or part.name in "@*?#" or part.how.endswith("+") or part.other == "":
            continue
        if _value(part, values) not in ("", ()):
            continue
        is_set = part.name in values
        vanishes = is_whole and not is_value and part.splits
        if place and not place.startswith("-") and not place.endswith(":"):
            matters = place.endswith("VISIBLE_DEVICES") and not is_set
        elif vanishes:
            matters = bool(place) and not is_set and OPTIONAL.fullmatch(part.name) is None
        else:
            matters = bool(place) if is_whole else not is_set
        yield Blank(part.text, place, is_set, matters or part.how.endswith("?"))
