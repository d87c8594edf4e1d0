"""A command line is split into words as a shell or systemd does; its variables stay in place."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

from objectives.errors import BadInput
from study.init_spec.forms.named_text import MOST

NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
BRACED = re.compile(
    r"\$\{(?P<name>[A-Za-z_]\w*|[0-9@*])(?P<all>\[[@*]\])?(?:(?P<how>:?[-=+?])(?P<other>.*))?\}",
    re.ASCII | re.DOTALL,
)
OPERATORS = ("&&", "||", ";;", ";", "|&", "|", "&", "(", ")")
REDIRECTION = re.compile(r"[0-9]*(?:&>>?|>>?&?|<<<?-?|<&?)")
PLAIN = re.compile(r"[\w./:,@%+-]+")
ESCAPES = {"n": "\n", "t": "\t", "s": " ", "\\": "\\", '"': '"', "'": "'"}


@dataclass(frozen=True, slots=True)
class WordPart:
    """A part of a word is text, or a variable to fill in.

    Args:
        text: The text; of a variable its source, such as `${SHARE:-0.5}`.
        name: The variable; None: plain text.
        other: What stands for it where it is not set; None: nothing.
        how: How: `-` or `=` where it is empty, `+` where it is set.
        splits: Whether its value becomes several words.
    """

    text: str
    name: str | None = None
    other: str | None = None
    how: str = ""
    splits: bool = False


Word = tuple[WordPart, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator stands between commands: `;`, `&&`, `|`, or the end of a line.

    Args:
        text: The operator as it is written.
    """

    text: str


def plain_words(text: str) -> list[str]:
    """Return the words of a text without variables; as they are where a quote does not end.

    >>> plain_words("a 'b c'"), plain_words("a 'b c")
    (['a', 'b c'], ['a', "'b", 'c'])
    """
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


Dialect = Literal["shell", "systemd", "compose"]


def split(text: str, dialect: Dialect = "shell") -> list[Word | Operator]:
    r"""Split a text into words and the operators between commands.

    Args:
        text: The text.
        dialect: Only a shell has operators and comments. To the others `$$` is a dollar, and a
            variable is known in quotes of any kind; to systemd `$NAME` only as a word of its own.

    >>> from study.init_spec.forms.expansion import expanded
    >>> [expanded(w, {"A": "1 2"}) for w in split('x "$A"y \'$A\' $A')]
    [['x'], ['1 2y'], ['$A'], ['1', '2']]
    >>> [w.text for w in split("cd /a && b # c") if isinstance(w, Operator)]
    ['&&']
    >>> [expanded(w, {"A": "1 2"}) for w in split("'${A}' $A $$x", "systemd")]
    [['1 2'], ['1', '2'], ['$x']]

    Raises:
        BadInput: The text is longer than any that is run.
    """
    if len(text) > MOST:
        raise BadInput(
            f"a command of {len(text):,} characters, which begins with {text[:40]!r}, is not read; "
            "name what starts the server in fewer"
        )
    return _Splitter(text, dialect).words()


def of_text(text: str) -> Word:
    """Return a text of a compose file as one word, whose quotes and spaces are its own.

    >>> from study.init_spec.forms.expansion import expanded
    >>> expanded(of_text("a 'b' ${C} $$D"), {"C": "1 2"})
    ["a 'b' 1 2 $D"]
    """
    return _Splitter(text, "compose").one()


class _Splitter:
    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text, self.at = text, 0
        self.is_shell, self.systemd = dialect == "shell", dialect == "systemd"
        self.parts: list[WordPart] = []
        self.literal = ""
        self.is_word = self.is_array = False

    def one(self) -> Word:
        while self.at < len(self.text):
            if self.text[self.at] == "$":
                self._variable(quoted=True)
            else:
                self._take(self.text[self.at])
        return (
            (*self.parts, WordPart(self.literal))
            if self.literal or not self.parts
            else (*self.parts,)
        )

    def words(self) -> list[Word | Operator]:
        tokens: list[Word | Operator] = []
        quote = ""
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == "\\" and quote != "'":
                self._escape(quote)
            elif quote:
                quote = self._quoted(c, quote)
            elif c in "\"'":
                quote, self.is_word, self.at = c, True, self.at + 1
            elif c == "$":
                self._variable(quoted=False)
            elif c == "`" and self.is_shell:
                end = self.text.find("`", self.at + 1)
                self._take(self.text[self.at : end + 1 or None])
            elif c.isspace():
                self._end(tokens)
                if c == "\n" and self.is_shell and not self.is_array:
                    tokens.append(Operator("\n"))
                self.at += 1
            elif self.is_shell and c == "#" and not self.is_word:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif not self.is_shell or not self._operator(tokens):
                self._take(self._plain(c))
        self._end(tokens)
        return tokens

    def _quoted(self, c: str, quote: str) -> str:
        """Take a character in quotes; return the quote that is open then."""
        if c == quote:
            self.at += 1
            return ""
        if c == "$" and (quote == '"' or not self.is_shell):
            self._variable(quoted=True)
        else:
            self._take(self._plain(c))
        return quote

    def _plain(self, c: str) -> str:
        """Return the character, with all behind it that mean nothing but themselves."""
        match = PLAIN.match(self.text, self.at)
        return match[0] if match else c

    def _take(self, text: str) -> None:
        self.literal, self.is_word = self.literal + text, True
        self.at += len(text)

    def _escape(self, quote: str) -> None:
        after = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if after == "\n":
            return
        if self.systemd:
            self.literal += ESCAPES.get(after, "\\" + after)
        else:
            self.literal += after if not quote or after in '"\\$`' else "\\" + after
        self.is_word = True

    def _operator(self, tokens: list[Word | Operator]) -> bool:
        if match := REDIRECTION.match(self.text, self.at):
            if self.literal.isdigit():
                self.literal, self.is_word = "", False
            self._end(tokens)
            tokens.append(Operator(match[0]))
            self.at = match.end()
            return True
        for operator in OPERATORS:
            if self.text.startswith(operator, self.at):
                is_begin = operator == "(" and self.literal.endswith("=")
                if is_begin or (operator == ")" and self.is_array):
                    if not is_begin:
                        self._end(tokens)
                    self.is_array = is_begin
                    self._take(operator)
                    self._end(tokens)
                    return True
                self._end(tokens)
                tokens.append(Operator(operator))
                self.at += len(operator)
                return True
        return False

    def _variable(self, *, quoted: bool) -> None:
        text, at = self.text, self.at
        if not self.is_shell and text.startswith("$$", at):
            self.literal, self.is_word, self.at = self.literal + "$", True, at + 2
            return
        if text.startswith("$(", at) and self.is_shell:
            self._take(text[at : _closing(text, at + 1, "(", ")")])
            return
        if text.startswith("${", at):
            end = _closing(text, at + 1, "{", "}")
            match = BRACED.fullmatch(text[at:end])
            if match is None:
                self._take(text[at:end])
                return
            # of systemd it is one word; of a shell only in quotes
            is_array = bool(match["all"]) or match["name"] in "@*"
            splits = not quoted and not self.systemd and not is_array
            self._add(WordPart(match[0], match["name"], match["other"], match["how"] or "", splits))
            self.at = end
            return
        match = re.compile(r"[A-Za-z_]\w*|[0-9@*#?]", re.ASCII).match(text, at + 1)
        before = at == 0 or text[at - 1].isspace()
        after = match is not None and (match.end() == len(text) or text[match.end()].isspace())
        if match is None or (self.systemd and not (before and after and not quoted)):
            self._take("$")
            return
        self._add(WordPart("$" + match[0], match[0], splits=not quoted and match[0] not in "@*"))
        self.at = match.end()

    def _add(self, part: WordPart) -> None:
        if self.literal:
            self.parts.append(WordPart(self.literal))
            self.literal = ""
        self.parts.append(part)
        self.is_word = True

    def _end(self, tokens: list[Word | Operator]) -> None:
        if self.is_word:
            if self.literal or not self.parts:
                self.parts.append(WordPart(self.literal))
            tokens.append(tuple(self.parts))
        self.parts, self.literal, self.is_word = [], "", False


def _closing(text: str, at: int, opens: str, closes: str) -> int:
    """Return the place behind the bracket that closes the one at `at`; the end without one."""
    depth = 0
    for place in range(at, len(text)):
        depth += (text[place] == opens) - (text[place] == closes)
        if depth == 0:
            return place + 1
    return len(text)
