"""Imported first by every script: while it imports the rest, Ctrl-C ends it at once and without a traceback.

There is nothing to stop or keep until then; `study.terminal.exiting` turns Ctrl-C into an orderly end.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)
