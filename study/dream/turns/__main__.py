"""This command runs the turn that the argument, a job as JSON, names."""

from __future__ import annotations

import os
import sys

from optuna.exceptions import StorageInternalError

from objectives import waiting
from objectives.errors import BadInput, InUse, StudyError
from objectives.servers.supervision.supervisor import LIBC, PR_SET_CHILD_SUBREAPER
from study.dream.experiments.file import Broken, read_dream_file
from study.dream.experiments.model import GenericExperiment, OwnExperiment
from study.dream.generic.telling import WrongFigures
from study.dream.turns.generic import run_generic
from study.dream.turns.log import TurnLog
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob
from study.text import one_line


def main(text: str) -> None:
    """Run the turn and write its report."""
    job = TurnJob.from_text(text)
    waiting.listen()  # the end is raised where it waits, so that no commit is left half done
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what an evaluator leaves behind is ours to end
    if job.cores:
        os.sched_setaffinity(0, job.cores)
    report_of(job).write(job.report)


def report_of(job: TurnJob) -> Report:
    """Return what became of the turn; what the user or the machine did wrong is its reason."""
    ending, reason = TurnEnding.INTERRUPTED, ""
    try:
        return _run(job, TurnLog(job.logdir / "runner.log", job.name))
    except WrongFigures as error:
        ending, reason = TurnEnding.STOPPED, str(error)
    except InUse as error:
        ending, reason = TurnEnding.BUSY, str(error)
    except StorageInternalError as error:  # a full disk, say
        ending, reason = TurnEnding.FAILED, str(error.__cause__ or error)
    except (StudyError, OSError) as error:
        ending, reason = TurnEnding.FAILED, str(error)
    except KeyboardInterrupt:
        pass
    return Report(ending=ending, reason=one_line(reason))


def _run(job: TurnJob, log: TurnLog) -> Report:
    match read_dream_file(job.config, job.content()).named(job.name):
        case GenericExperiment() as generic:
            return run_generic(generic, job, log)
        case OwnExperiment() as own:
            from study.dream.turns.own import run_own  # noqa: PLC0415  it imports servers

            return run_own(own, job, log)
        case Broken(reason=reason):
            raise BadInput(reason)
    raise BadInput(f"{job.config} holds the experiment no more")


if __name__ == "__main__":
    main(sys.argv[1])
