r"""Capture live traffic before a server: arrivals and lengths, never contents.

    python scripts/capture.py evening.jsonl --llm http://127.0.0.1:8000
                                          clients go to http://127.0.0.1:18000 instead
    python scripts/capture.py evening.jsonl --llm http://127.0.0.1:8000 \
        --stt http://127.0.0.1:8001 --for 3600
                                          both services in one trace; it ends after an hour
    python scripts/capture.py evening.jsonl --llm http://127.0.0.1:8000 \
        --mirror http://127.0.0.1:9000    a second server gets a copy of each request; its
                                          answers are measured beside the first's, and thrown away

Everything passes as it is, streams too. Studies and confirmations replay the trace. Ctrl-C or
SIGTERM ends it once open answers have ended, a second one at once.
Exit: 0 ended, 2 bad input or a trace that is there already, 3 a server that does not answer or a
port that is taken.
"""

from __future__ import annotations

from pathlib import Path

from study.cli.parser import parser

SERVERS = {"llm": "the LLM server", "stt": "the speech server"}  # by the option that names it


def main() -> None:
    """Capture what the arguments name."""
    options = parser(__doc__)
    add = options.add_argument
    add("trace", type=Path, metavar="TRACE", help="the file to write, which must not exist")
    for name, what in SERVERS.items():
        port_help = "where its clients are taken (default: its port and 10,000)"
        add(f"--{name}", metavar="URL", help=f"{what}, or one for both services")
        add(f"--{name}-port", type=int, metavar="N", help=port_help)
    mirror_help = "gets copies; beside two servers, llm=URL or stt=URL, or both"
    add("--mirror", action="append", default=[], metavar="URL", help=mirror_help)
    add("--for", type=float, dest="for_s", metavar="S", help="end after so many seconds")
    arguments = options.parse_args()
    urls = {n: url for n in SERVERS if (url := getattr(arguments, n)) is not None}
    if not urls:
        options.error("name a server with --llm or --stt")
    mirrors = {}
    for word in arguments.mirror:
        name, is_named, url = word.partition("=")
        if not is_named or name not in SERVERS:
            name, url = next(iter(urls)), word
        if name not in urls or name in mirrors or (word == url and len(urls) > 1):
            options.error(f"--mirror {word}: write llm=URL or stt=URL, once for each server named")
        mirrors[name] = url
    if arguments.for_s is not None and not 0 < arguments.for_s <= 86_400:
        options.error("--for must be above 0 and at most 86400")

    from objectives.capture.capture import capture, route
    from study.cli.capture_lines import ending
    from study.cli.exit_codes import exiting
    from study.cli.say import say

    with exiting():
        routes = [
            route(url, getattr(arguments, f"{name}_port"), mirrors.get(name), f"--{name}")
            for name, url in urls.items()
        ]
        tally = capture(routes, arguments.trace, arguments.for_s, say)
        for line in ending(tally, arguments.trace):
            say(line)
