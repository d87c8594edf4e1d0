"""`give(machine, engine)` gives a rig a real docker or podman, with an image made of its own /usr.

Nothing is downloaded. Podman's containers have no cgroups of their own, so that it works also where
the machine has those of version 1.
"""

from __future__ import annotations

import shutil

import pytest
from rigs.systemd_rig import UNITS, Rig, wait_until

ENGINES = ("docker", "podman")
PROGRAMS = {"docker": ("dockerd", "runc"), "podman": ("podman", "crun")}
PACKAGES = {"docker": "docker.io", "podman": "podman crun"}
IMAGE = "localhost/base:1"
FILES = {
    "policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}',
    "storage.conf": '[storage]\ndriver = "vfs"\ngraphroot = "/var/lib/containers/storage"\n'
    'runroot = "/run/containers/storage"\n',
    "containers.conf": '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
    'cgroups = "disabled"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
}
DAEMON = """[Service]
Environment=DOCKER_RAMDISK=1
ExecStart=/usr/sbin/dockerd -H unix:///run/docker.sock --storage-driver=vfs --bridge=none \\
  --iptables=false --ip6tables=false
StandardOutput=null
StandardError=null
"""
MAKE = """
mkdir -p /var/lib/containers /root/image && cd /root/image
mkdir usr etc proc sys dev tmp root run
for d in bin sbin lib lib64; do ln -s usr/$d $d; done
tar -cf ../image.tar . && {engine} import ../image.tar {image}
"""
# what each container of a test needs: the rig's programs and network, and a quick end
OPTIONS = "--network host -v /usr:/usr:ro --stop-timeout 1"


def give(machine: Rig, engine: str) -> None:
    """Set an engine up in a rig; skip where it is not installed."""
    if any(shutil.which(program) is None for program in PROGRAMS[engine]):
        pytest.skip(f"not installed: {engine} (apt-get install {PACKAGES[engine]})")
    if engine == "docker":
        machine.write(f"{UNITS}/docker.service", DAEMON)
        machine.systemctl("daemon-reload")
        machine.systemctl("start", "docker")
        wait_until(lambda: machine.run("docker", "info", "-f", "{{.Driver}}", check=False) == "vfs")
    else:
        for name, text in FILES.items():
            machine.write(f"/etc/containers/{name}", text)
    machine.run("sh", "-ec", MAKE.format(engine=engine, image=IMAGE))


def compose() -> tuple[str, ...]:
    """Return the words that begin a command of docker's compose; skip where it is not installed.

    Podman's 1.0.3 starts no container with the host's network, the only one that a rig has.
    """
    if shutil.which("docker-compose") is None:
        pytest.skip("not installed: docker-compose (apt-get install docker-compose)")
    return ("docker-compose",)
