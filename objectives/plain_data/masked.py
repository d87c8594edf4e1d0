"""Secrets are masked wherever commands, logs and settings are kept: by their names and shapes.

A mask keeps eight digits of a hash, so that two values can be told apart and neither be found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

NAME = (
    r"[\w.-]{0,40}(?:(?<![a-z])(?:token|auth)(?![a-z])|(?-i:(?<=[a-z])Token(?![a-z]))"
    r"|secret|passw(?:or)?d|passphrase|passcode"
    r"|(?:access|auth|bearer|id|refresh|session)[_-]?token|credential|authorization"
    r"|(?:api|access|private)[ _-]?key|(?<=[a-z0-9]_)(?:pass|pwd|pw)(?![a-z]))[\w.-]{0,40}"
)
# what names a secret in a URL, or in a list of fields, alone
QUERY = r"(?:[?&](?:sig|key|pass|pwd)|[?&,]\s?[\w-]{0,40}signature)="
MASK = re.compile(r"\*\*\*\([0-9a-f]{8}\)")
SET = r"""\s*(?:[=-]>|[=:])\s*"""
# what YAML, Python and shells write before a value
BEFORE = r"""(?:[|>][+-]?\s*\n\s*|!!?\w*\s+|&\w+\s+|-\s+)*(?:[b$](?=["']))?\\*"""
BY_NAME = re.compile(
    rf"""(?ix)
    ((?:(?<![\w.-])(?:\\?["']?{NAME}\\?["']?{SET}{BEFORE}
        |--?{NAME}(?:{SET}|["'],\s*|["']?\s*\n\s*-\s+|\s+\\\n\s*|\s+)
        |b["']{NAME}["'],\s*b)
    |{QUERY})
    (?:(?:bearer|basic|token|api-?key|key|negotiate|ntlm|hmac)[\s:]+)?)
    (\*\*\*\([0-9a-f]{{8}}\)|"[^"\n]*"|'[^'\n]*'|\[[^\]\n]*\]
        |\((?:\*\*\*\([0-9a-f]{{8}}\)|[^)\n])*\)|[^\s"',;&}}\])]+)"""
)
BY_SHAPE = re.compile(
    r"""(?x)
    (?i:(?<=\bbearer\s)|(?<=\bbearer:)|(?<=\bbasic\s)|(?<=\bbasic:))[\w.~+/=-]{6,}
    |(?<=://)(?:[^\s/:@]*:[^\s/"'<>]+|[^\s/:@]{20,})(?=@)  # a URL's user and password, or a token
    |(?<=hooks\.slack\.com/services/)[\w/-]+
    |(?i:(?<=\bcookie:)|(?<=\bcookie:\s))[^\s"'][^\n"']*
    |\b(?:hf_|sk-|sk_|pk_|gh[oprsu]_|github_pat_|glpat-|xox[abeprs]-|nvapi-|A[KS]IA|AIza)[\w-]{12,}
    |\b(?:r8_|glsa_|hvs\.|SG\.|pplx-|tvly-|shpat_|dop_v1_|AGE-SECRET-KEY-)[\w.-]{20,}
    |\b(?:npm_|gsk_|xai-)[A-Za-z0-9]{30,}|\b(?:dckr_pat_|pypi-AgE|ya29\.)[\w-]{12,}
    |\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*                     # a JSON web token
    |-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[\s\S]*?(?:-----END[ ][A-Z ]*-----|\Z)"""
)
HARMLESS = re.compile(r"(?i)[\d.,\s]+[a-z%]{0,3}|true|false|none|null|auto")
CURL = re.compile(r"(\bcurl\b[^\n]*?\s(?:-u|--(?:proxy-)?user)(?:\s+|=)?[\"']?)([^\s:]+:[^\s\"']+)")
DIGEST = re.compile(r"(?i)(authorization[\"']?\s*[=:]\s*[\"']?digest\s+)([^\n]+)")
SSHPASS = re.compile(r"(\bsshpass\s+-p\s*)([^\s-]\S*)")
USERS = {"curl": ("-u", "--user", "--proxy-user"), "sshpass": ("-p",)}
SEVERAL = re.compile(r"--api[-_]keys?")  # vLLM takes several
VARIABLE = re.compile(r"\s*(?:export\s+)?[A-Za-z_][\w.-]*\s*")
WORD_AFTER = re.compile(rf"(?i)--?{NAME}")


def masked(text: str) -> str:
    """Return a text without the secrets that a name before them or their shape gives away.

    >>> masked("serve --api-key hunter2 --max-tokens 128 postgresql://me:pw@host/db")
    'serve --api-key ***(f52fbd32) --max-tokens 128 postgresql://***(7fb75272)@host/db'
    """
    for of_several in (DIGEST, CURL, SSHPASS):
        text = of_several.sub(lambda m: m[1] + mask(m[2]), text)
    text = BY_NAME.sub(_by_name, text)
    return BY_SHAPE.sub(lambda m: mask(m[0]), text)


def _by_name(match: re.Match[str]) -> str:
    value = match[2].strip("\"'")
    value = value[1:-1].strip("\"', ") if value[:1] in ("[", "(") else value
    is_plain = (
        not value or HARMLESS.fullmatch(value) or MASK.fullmatch(value) or value.startswith("-")
    )
    return match[0] if is_plain else match[1] + match[2].replace(value, mask(value))


def mask(value: str) -> str:
    """Return what stands for a value; a mask stands for itself."""
    if MASK.fullmatch(value):
        return value
    return f"***({hashlib.sha256(value.encode(errors='replace')).hexdigest()[:8]})"


def masked_words(words: list[str] | tuple[str, ...]) -> list[str]:
    """Return the words of a command without secrets; a word may be the value of the one before.

    >>> masked_words(["--api-key", "a b", "--port", "80"])
    ['--api-key', '***(c8687a08)', '--port', '80']
    """
    result, is_value, flag = list[str](), False, ""
    of_user = USERS.get(words[0].rpartition("/")[2], ()) if words else ()
    for word in words:
        flag = word if word.startswith("-") else flag
        is_secret = is_value and not HARMLESS.fullmatch(word) and not word.startswith("-")
        result.append(mask(word) if is_secret else masked(word))
        is_value = WORD_AFTER.fullmatch(word) is not None or word in of_user
        is_value = is_value or SEVERAL.fullmatch(flag) is not None
    return result


def masked_service(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain data of a service without secrets: no value of its environment is kept."""
    kept = dict(data)
    if isinstance(env := kept.get("env"), Mapping):
        kept["env"] = {name: mask(str(value)) for name, value in env.items()}
    if isinstance(args := kept.get("args"), list | tuple):
        kept["args"] = masked_words([str(word) for word in args])
    if isinstance(command := kept.get("command"), str):
        kept["command"] = masked(command)
    return kept


def masked_lines(text: str, shown: Collection[str] = ()) -> str:
    """Return an env file's text without any of its values but numbers, and those of some names.

    >>> masked_lines("# of the LLM\\nSHARE=0.5\\nKEY=hunter2\\n")
    '# of the LLM\\nSHARE=0.5\\nKEY=***(f52fbd32)\\n'
    """
    return "".join(_masked_line(line, shown) for line in text.splitlines(keepends=True))


def _masked_line(line: str, shown: Collection[str]) -> str:
    name, sign, value = line.partition("=")
    if name.strip() in shown:
        return line
    if line.lstrip().startswith(("#", ";")) or not line.strip():
        return masked(line)
    if not sign or not VARIABLE.fullmatch(name):  # it goes on with the line before, or is none
        return mask(line.strip()) + line[len(line.rstrip("\n")) :]
    if HARMLESS.fullmatch(value.strip()):
        return masked(line)
    end = value[len(value.rstrip("\n")) :]
    return f"{name}={mask(value.rstrip(chr(10)))}{end}"
