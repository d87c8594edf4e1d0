"""`give_podman(machine)` gives a rig a real container engine, with an image made of its own /usr.

Nothing is downloaded. Its containers have no cgroups of their own, so that it works also where the
machine has those of version 1.
"""

from __future__ import annotations

import shutil

import pytest
from systemd_rig import Rig

IMAGE = "localhost/base:1"
FILES = {
    "policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}',
    "storage.conf": '[storage]\ndriver = "vfs"\ngraphroot = "/var/lib/containers/storage"\n'
    'runroot = "/run/containers/storage"\n',
    "containers.conf": '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
    'cgroups = "disabled"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
}
MAKE = """
mkdir -p /var/lib/containers /root/image && cd /root/image && mkdir usr etc proc sys dev tmp
for d in bin sbin lib lib64; do ln -s usr/$d $d; done
tar -cf ../image.tar . && podman import ../image.tar {image}
"""
# what each container of a test needs: the rig's programs and network, and a quick end
OPTIONS = "--network host -v /usr:/usr:ro --stop-timeout 1"


def give_podman(machine: Rig) -> None:
    """Set podman up in a rig; skip where it is not installed."""
    if shutil.which("podman") is None or shutil.which("crun") is None:
        pytest.skip("not installed: podman (apt-get install podman crun)")
    for name, text in FILES.items():
        machine.write(f"/etc/containers/{name}", text)
    machine.run("sh", "-ec", MAKE.format(image=IMAGE))
