"""This module runs the experiments of a file, or shows where they stand."""

from __future__ import annotations

import sys

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.bench.run_lock import alone
from study.cli.console import console_of
from study.dream.experiments.file import Broken, DreamFile, read_dream_file
from study.dream.rotation.runner import Runner
from study.dream.rotation.signals import woken
from study.dream.rotation.standing import look
from study.dream.rotation.status import status_table
from study.dream.rotation.turn_process import TurnProcess
from study.dream.schedule.options import RunnerOptions, options_file
from study.dream.turns.log import TurnLog
from study.text import meant

STOPPED = 130
WIDTH = 80  # columns, also of a file


def run_dream(options: RunnerOptions) -> int:
    """Run cycles until they are over, or a signal asks for the end; return the exit code.

    Raises:
        BadInput: The file or an option is wrong.
        SetupError: Another runner uses the folder of logs.
    """
    _refuse_unknown(read_dream_file(options.config), options)
    with alone(options.logdir):
        log = TurnLog(options.logdir / "runner.log")
        runner = Runner(options, log, TurnProcess, pause=lambda _: None)
        try:
            runner.root.mkdir(parents=True, exist_ok=True)
            write_atomic(options_file(options.logdir), options.to_text())
        except OSError as error:
            raise BadInput(
                f"{error.filename} cannot be written ({error.strerror}); name another --out"
            ) from error

        def stop() -> None:
            runner.is_stopping = True

        def reload() -> None:
            runner.is_reloading = True

        with woken(stop, reload) as pause:
            runner.pause = pause
            try:
                runner.run()
            finally:
                runner.stop_turns()
        if runner.is_stopping:
            log.line("stopped; everything finished is kept: run the same command again to go on")
            return STOPPED
    return 0


def show_status(options: RunnerOptions) -> None:
    """Show where every experiment of the file stands.

    Raises:
        BadInput: The file is wrong.
    """
    rows, state, is_alive = look(options)
    console = console_of()
    console.width = min(console.width, WIDTH) if not sys.stdout.isatty() else console.width
    console.print(status_table(rows, state.cycle, is_alive=is_alive))


def _refuse_unknown(file: DreamFile, options: RunnerOptions) -> None:
    """Refuse an experiment that the file does not hold, or cannot be read."""
    name = options.experiment
    names = [e.name for e in file.entries]
    if name is not None:
        match file.named(name):
            case None:
                raise BadInput(
                    f"{options.config}: it holds no experiment {name!r}; {meant(name, names)}"
                )
            case Broken(reason=reason):
                raise BadInput(reason)
    elif not any(e.is_enabled for e in file.entries):
        raise BadInput(f"{options.config}: no experiment is enabled; write `enabled: true` in one")
