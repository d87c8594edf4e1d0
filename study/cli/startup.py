"""End a script without a traceback where Ctrl-C comes while it still imports.

Every script imports it first. There is nothing to stop or keep until then;
`study.cli.exit_codes.exiting` turns Ctrl-C into an orderly end. And what a terminal or a pipe
cannot spell (±, in ASCII) becomes a question mark.
"""

import io
import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)
for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
