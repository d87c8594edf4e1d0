"""What servers and processes say is kept only as far as files and terminals can spell it."""

from __future__ import annotations

import re

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def spellable(text: str) -> str:
    r"""Return a text with a question mark for half a letter, and a space for a control character.

    JSON has both; no file, storage or terminal takes the former, and some not the latter. Lines and
    tabs stay.

    >>> spellable("a\ud800b"), spellable("a\x00\x1b[2Jb\n")
    ('a?b', 'a  [2Jb\n')
    """
    return CONTROLS.sub(" ", text.encode(errors="replace").decode())
