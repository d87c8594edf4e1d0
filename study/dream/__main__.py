"""Run the experiments of a D-REAM file in rotation: `python -m study.dream`."""

from importlib import import_module

import study.cli.startup  # noqa: F401

if __name__ == "__main__":
    # the commands stand on a floor above this room
    import_module("study.commands.run_dream").main()
