"""This command runs the experiments of a D-REAM file in rotation: `python -m study.dream`."""

import signal
from importlib import import_module

if __name__ == "__main__":
    # until the runner listens: what asks to have the file read anew must not end it
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    import_module("study.cli.startup")
    # the commands stand on a floor above this room
    import_module("study.commands.run_dream").main()
