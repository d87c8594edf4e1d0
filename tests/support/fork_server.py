"""The fork server runs the project's commands in rigs without a second of imports for each.

It has imported what `promote.py` and `init_spec.py` need. For each request it forks into the
namespaces of a rig and runs the script there as `python SCRIPT` would. Who asks is a process of its
own, with the output, the umask and the exit code of the script; where it is killed, so is the
script.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress

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
    asked = json.loads(text)
    enter(asked["rig"])
    script = os.fork()
    if script == 0:
        connection.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        code = run_script(asked["folder"], asked["words"], asked["env"], asked["umask"])
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


def ask(path: str, rig: str, folder: str, words: list[str]) -> int:
    """Have a script run in a rig with this process's output, and return its exit code."""
    umask = os.umask(0)
    wanted = {"rig": int(rig), "folder": folder, "words": words}
    wanted |= {"env": dict(os.environ), "umask": umask}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [json.dumps(wanted).encode()], [0, 1, 2])
        for file in (0, 1, 2):
            os.close(file)  # whoever reads the output is to see its end
        code = int(connection.recv(16) or b"1")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(ask(*sys.argv[2:5], sys.argv[5:]))
