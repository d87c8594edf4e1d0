"""Each module is a command that people type.

Each `main` is called by a script of scripts/, and those that users need by the program
gpu-allocation too. A command imports what it runs after it has parsed its arguments, so that --help
and a wrong option are answered at once. It does so before `exiting`: until then Ctrl-C ends the
process without a traceback, also amid an import.
"""
