"""The fork server runs the project's commands in rigs without a second of imports for each.

It has imported what `promote.py` and `init_spec.py` need. For each request it forks into the
namespaces of a rig and runs the script there as `python SCRIPT` would, and kills it where who asks
goes away.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

NAMESPACES = ("ipc", "uts", "pid", "mnt")  # the last one hides the files of the others


def enter(pid: int) -> None:
    """Enter the namespaces of a rig's PID 1 as the children of this process are to see them."""
    import ctypes

    files = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in NAMESPACES]
    setns = ctypes.CDLL(None, use_errno=True).setns
    for file in files:
        if setns(file, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(file)
    os.chroot("/mnt")
    os.chdir("/")


def run_script(folder: str, words: list[str], env: dict[str, str], umask: int) -> int:
    """Run a script as a fresh interpreter would, and return its exit code."""
    import runpy
    import traceback

    os.setsid()
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ending:
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
            return 1
        return ending.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def answer(connection: socket.socket) -> None:
    """Run what one connection asks for, and send its exit code; kill it where nobody waits."""
    import select

    text, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    request = json.loads(text)
    enter(request["rig"])
    script = os.fork()
    if script == 0:
        connection.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        code = run_script(request["folder"], request["words"], request["env"], request["umask"])
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(script)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.kill(script, signal.SIGKILL)
    _, status = os.waitpid(script, 0)
    with suppress(OSError):
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def serve(path: str) -> None:
    """Fork for each connection until standard input is closed."""
    import select

    import study.cli.startup
    import study.commands.init_spec
    import study.commands.promote
    import study.deploy.commands  # what the commands import once they have their arguments
    import study.init_spec.init_spec
    import study.service_pause.options  # noqa: F401
    from objectives.apis.short_requests import certificates
    from objectives.diagnosis.diagnose import diagnose
    from study.deploy.health import gates

    certificates()  # what a first request imports takes a third of a second of a core
    diagnose("a line", service="llm")  # its patterns are read from a file
    gates.READY_POLL_S = 0.05  # units of fakes are soon ready

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                answer(connection)
                os._exit(0)
            connection.close()


class ForkedScript:
    """A fork server runs a script for this process, as `subprocess.Popen` does a program.

    Args:
        path: The socket of the server.
        wanted: What `answer` reads.
    """

    def __init__(self, path: str, wanted: dict[str, object]) -> None:
        ours, theirs = os.pipe()
        self.stdout = os.fdopen(ours)
        self.returncode: int | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        with Path(os.devnull).open() as nothing:
            files = [nothing.fileno(), theirs, theirs]
            socket.send_fds(self._socket, [json.dumps(wanted).encode()], files)
        os.close(theirs)

    def communicate(self, timeout: float = 60.0) -> tuple[str, None]:
        """Return what is left of its output, once it has ended."""
        parts: list[str] = []
        reading = threading.Thread(target=lambda: parts.append(self.stdout.read()), daemon=True)
        reading.start()
        reading.join(timeout)
        if reading.is_alive():
            self.kill()
            raise TimeoutError(f"it has not ended within {timeout:g} s")
        self.stdout.close()
        self.wait(timeout)
        return parts[0], None

    def wait(self, timeout: float) -> int:
        """Return its exit code, once it has ended."""
        if self.returncode is None:
            self._socket.settimeout(timeout)
            self.returncode = int(self._socket.recv(16) or b"1")
            self._socket.close()
        return self.returncode

    def kill(self) -> None:
        """Kill it by SIGKILL."""
        self.returncode = -signal.SIGKILL
        self._socket.close()


if __name__ == "__main__":
    serve(sys.argv[1])
