"""What a person sees: errors as one sentence, progress while a study runs, a table at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from objectives.errors import StudyError


@contextmanager
def exiting() -> Iterator[None]:
    """Turn our own errors into a sentence and an exit code: 2 bad input, 3 set-up, 130 Ctrl-C."""
    try:
        yield
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("stopped; servers ended, state kept: run the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None
