"""Ballast is a tenant that really holds memory until it is stopped.

    python -m objectives.devices.ballast --mib N --device cpu|cuda --held FILE

It needs the standard library only: GPU memory is taken through the driver, libcuda.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
import sys
from pathlib import Path

_MIB = 2**20


def hold_host(mib: int) -> object:
    """Allocate and touch `mib` MiB of host memory; the returned object keeps it."""
    memory = bytearray(mib * _MIB)
    memory[::4096] = b"\x01" * len(memory[::4096])
    return memory


def hold_gpu(mib: int) -> object:
    """Allocate `mib` MiB on the first visible GPU through the driver; exits 1 where that fails."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        sys.exit(f"ballast: no CUDA driver ({error})")
    context, pointer = ctypes.c_void_p(), ctypes.c_uint64()
    size = ctypes.c_size_t(mib * _MIB)
    for name, call, arguments in (
        ("cuInit", cuda.cuInit, (0,)),
        ("cuDevicePrimaryCtxRetain", cuda.cuDevicePrimaryCtxRetain, (ctypes.byref(context), 0)),
        ("cuCtxSetCurrent", cuda.cuCtxSetCurrent, (context,)),
        ("cuMemAlloc", cuda.cuMemAlloc_v2, (ctypes.byref(pointer), size)),
        ("cuMemsetD8", cuda.cuMemsetD8_v2, (pointer, ctypes.c_ubyte(1), size)),
    ):
        if (code := call(*arguments)) != 0:
            why = "out of memory" if code == 2 else f"CUDA error {code}"
            sys.exit(f"ballast: {name} failed: {why}")
    return pointer


def main() -> None:
    """Hold the memory, make the file that tells so, and wait for a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--held", type=Path, required=True)
    arguments = parser.parse_args()
    memory = hold_host(arguments.mib) if arguments.device == "cpu" else hold_gpu(arguments.mib)
    print(f"ballast holds {arguments.mib} MiB", flush=True)
    arguments.held.touch()
    signal.pause()
    del memory


if __name__ == "__main__":
    main()
