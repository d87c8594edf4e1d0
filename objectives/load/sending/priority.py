"""The sending process takes its own cores, and a place in the queue for them, as any user may."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Collection

SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # the numbers of a system call
SLICE_NS = 100_000  # the shortest that Linux takes


class _Attributes(ctypes.Structure):
    """This is the kernel's `sched_attr`."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def take_cores(cores: Collection[int]) -> None:
    """Run on these cores alone; where there are none, on any."""
    if cores:
        os.sched_setaffinity(0, cores)


def ask_for_short_slices() -> None:
    """Ask the scheduler for short turns that begin soon, in place of long ones.

    Since Linux 6.12 a process that asks for less at a time waits less for a core that others keep
    busy, at the same share of it: no privilege is needed. Older kernels do nothing.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if number is not None and os.sched_getscheduler(0) == os.SCHED_OTHER:  # else somebody chose
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        wanted = _Attributes(ctypes.sizeof(_Attributes), 0, 0, nice, 0, SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, ctypes.byref(wanted), 0)
