"""Lanes over Ray, on two machines of numbers: one answer, what is lost, and what is refused.

Ray is real, and so are lanes and servers; each of the two machines is a raylet of this one.
"""

import os
import subprocess
import sys
import time
from importlib.util import find_spec

import optuna
import pytest
from fake_cards.cards_here import alive, live_on_cards, spec_of_two
from fake_cards.raylets import HERE, Machine, with_token
from fake_servers.fake_http import free_port
from processes.commands import run_script

from objectives.errors import SetupError
from study.lanes.cluster import address, places, ray_here
from study.storage.trial import BRIDGE, State
from study.storage.trials import counted

CARDS = ("GPU-a", "GPU-b")
needs_ray = [
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: the extra cluster"),
]


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    return with_token(tmp_path_factory.mktemp("token"))


@pytest.fixture(scope="module")
def head(env):
    machine = Machine(CARDS[0], env)
    try:
        machine.wait()
        yield machine
    finally:
        machine.end()


@pytest.fixture
def second(env, head):
    """Return a second machine, which a test may end."""
    machine = Machine(CARDS[1], env, head.address)
    try:
        machine.wait()
        yield machine
    finally:
        machine.end()


class Study:
    """A study in a process of its own, whose lanes are in the cluster."""

    def __init__(self, folder, env, head, write=live_on_cards):
        self.folder, self.said = folder, ""
        write(folder)
        self.process = subprocess.Popen(
            [sys.executable, HERE, "run_study.py", "spec.yaml", "--cluster", head.address],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, words):
        while words not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def end(self):
        """Read the rest; return the exit code and the trials."""
        rest, _ = self.process.communicate(timeout=120)
        self.said += rest
        storage = f"sqlite:///{self.folder}/artifacts/made/study.db"
        return self.process.returncode, optuna.load_study(study_name=None, storage=storage)


@pytest.fixture
def study(tmp_path, env, head, second):
    study = Study(tmp_path, env, head)
    try:
        yield study
    finally:
        study.process.kill()
        study.process.wait()
        study.process.stdout.close()


def finishes(study, lost):
    """Check that a study ends well, and return the trial whose lane was lost."""
    code, held = study.end()
    assert code in (0, 4), study.said
    assert {r.state for r in counted(held)} == {State.COMPLETE}, study.said
    assert len({str(r.allocation) for r in counted(held)}) == 3
    assert (study.folder / "artifacts/made/lanes/GPU-b/lane.log").is_file()
    again = [t for t in held.get_trials() if "lost" in t.user_attrs]
    assert len(again) == (1 if lost else 0), study.said
    return held


@pytest.mark.usefixtures("second")
class TestInACluster:
    """Ray is started once for these."""

    pytestmark = needs_ray

    def test_a_study_measures_on_both_machines_and_the_baseline_on_each(self, study):
        finishes(study, lost=False)
        begun = [line for line in study.said.splitlines() if " begins on " in line]
        assert {line.split()[-1] for line in begun[:3]} == set(CARDS), study.said
        assert len([line for line in begun if " bridge:" in line]) == 1

    def test_an_actor_that_is_killed_is_replaced_and_its_trial_measured_again(self, study, second):
        study.read_until("begins on GPU-b")
        second.actors()[0].kill()
        finishes(study, lost=True)
        assert "GPU-b was lost: its machine or its actor is lost" in study.said

    def test_the_trial_of_a_machine_that_is_killed_is_measured_on_another(self, study, second):
        study.read_until("begins on GPU-b")
        second.raylet().kill()
        held = finishes(study, lost=True)
        (again,) = [t for t in held.get_trials() if "lost" in t.user_attrs]
        is_bridge = again.user_attrs.get("role") == BRIDGE  # only its own card may measure it
        assert is_bridge or again.user_attrs["card"] == "GPU-a"
        assert "GPU-b was lost: its machine or its actor is lost" in study.said

    def test_a_driver_that_is_killed_leaves_no_lane_behind(self, study, head, second):
        study.read_until("begins on GPU-b")
        assert len(alive(study.folder)) > 3
        study.process.kill()
        study.process.wait()
        until = time.monotonic() + 60
        while (left := alive(study.folder)) and time.monotonic() < until:
            time.sleep(0.2)
        assert left == []


class TestSetsInACluster:
    """One machine has one card, and the other four; a trial needs two."""

    pytestmark = needs_ray

    @pytest.fixture
    def four(self, env, head):
        machine = Machine("GPU-b,GPU-c,GPU-d,GPU-e", env, head.address)
        try:
            machine.wait()
            yield machine
        finally:
            machine.end()

    def test_a_lane_has_two_cards_of_one_machine_and_a_lost_one_is_replaced(
        self, tmp_path, env, head, four
    ):
        study = Study(tmp_path, env, head, spec_of_two)
        try:
            study.read_until(" bridge:")  # both lanes measure
            four.actors()[0].kill()
            code, held = study.end()
        finally:
            study.process.kill()
            study.process.wait()
            study.process.stdout.close()
        assert code in (0, 4), study.said
        assert "has 1 GPU and a trial needs 2: it is not used" in study.said
        sets = {r.measurement.measured_on for r in counted(held)}
        assert sorted(" ".join(sets).split()) == ["GPU-b", "GPU-c", "GPU-d", "GPU-e"]
        assert (
            len(sets) == 2
            and {card for t in held.get_trials() if (card := t.user_attrs.get("card"))} == sets
        )
        assert "was lost: its machine or its actor is lost" in study.said


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--cluster", "ray://head:10001"], 2, "Ray Client drops a driver"),
        (["--cluster", "head"], 2, "'head' is no address; write auto, or such as head:6379"),
        (["--cluster", "auto", "--lanes", "0"], 2, "--lanes must be at least 1"),
        (["--cluster", "auto", "--devices", "all"], 2, "leave it or --cluster out"),
        (["--lanes", "2"], 2, "--lanes is for --cluster"),
        (["--retries", "2"], 2, "--retries is for --devices or --cluster"),
        (["--devices", "all", "--retries", "-1"], 2, "--retries must be from 0 to 100, not -1"),
        (["--cluster", "auto", "--lend-from", "a.service"], 2, "--lend-from stops units of this"),
        (["--cluster", "auto"], 3, "RAY_AUTH_MODE is not token here; anybody who reaches"),
    ],
)
def test_what_no_cluster_can_do_is_refused_in_a_line(tmp_path, monkeypatch, options, code, words):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    spec = live_on_cards(tmp_path)
    run = run_script("run_study.py", spec, *options, "--out", tmp_path / "out")
    assert run.returncode == code and words in run.stderr, run.stderr


def test_a_token_that_is_not_there_is_refused_by_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(SetupError, match=f"no token of Ray in {tmp_path}/none"):
        ray_here.refuse_without_token()


def test_an_address_where_nobody_listens_is_refused_at_once(tmp_path, monkeypatch, env):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, env[name])
    spec, silent = live_on_cards(tmp_path), f"127.0.0.1:{free_port()}"
    run = run_script("run_study.py", spec, "--cluster", silent, "--out", tmp_path / "out")
    assert run.returncode == 3 and f"no Ray cluster at {silent}" in run.stderr


class Process:
    """A process as psutil tells of it."""

    def __init__(self, name, *words):
        self.info, self.words = {"name": name}, [name, *words]

    def cmdline(self):
        return self.words


@pytest.mark.parametrize(
    ("heads", "named", "words"),
    [
        ([], None, "this machine is in no Ray cluster: no raylet runs here"),
        (["127.0.0.1:{0}"], None, "no Ray cluster at 127.0.0.1:{0}"),
        (["a:1", "b:1", "a:1"], None, "in 2 Ray clusters; name the one: --cluster a:1 or b:1"),
        ([], "127.0.0.1:{0}", "no Ray cluster at 127.0.0.1:{0}"),
    ],
)
def test_the_cluster_of_a_machine_that_has_ended_is_refused_at_once(
    tmp_path, monkeypatch, env, heads, named, words
):
    port = free_port()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, env[name])
    if named:
        monkeypatch.setenv("RAY_ADDRESS", named.format(port))
    workers = "--python_worker_command=python worker.py --gcs-address=head:1"
    raylets = [Process("raylet", workers, f"--gcs-address={h.format(port)}") for h in heads]
    monkeypatch.setattr(address.psutil, "process_iter", lambda _: [Process("python"), *raylets])
    spec = live_on_cards(tmp_path)
    run = run_script("run_study.py", spec, "--cluster", "auto", "--out", tmp_path / "out")
    assert run.returncode == 3 and words.format(port) in run.stderr, run.stderr


def test_a_spec_whose_trials_need_the_hosts_memory_too_is_refused(tmp_path):
    spec = live_on_cards(tmp_path)
    text = spec.read_text().replace("device: cuda", "devices: {gpu0: GPU-a, gpu1: GPU-b, cpu: }")
    spec.write_text(text)
    run = run_script("run_study.py", spec, "--cluster", "auto", "--out", tmp_path / "out")
    assert run.returncode == 2 and "has a device `cpu`" in run.stderr, run.stderr


def nodes(*gpus):
    """Return machines as Ray tells of them; one without GPUs tells of none."""
    return [
        {"NodeManagerHostname": f"node{n}", "Resources": {"CPU": 2.0, **({"GPU": g} if g else {})}}
        for n, g in enumerate(gpus)
    ]


def test_sets_are_counted_by_machine_and_what_makes_none_is_named():
    lines = []
    assert places.sets_in(nodes(4.0, 3.0, 1.0, 0), 2, lines.append) == 3
    assert lines == [
        "node1 has 3 GPUs and a trial needs 2: it leaves 1 idle",
        "node2 has 1 GPU and a trial needs 2: it is not used",
    ]
    assert places.sets_in(nodes(4.0, 3.0, 1.0, 0), 1, lines.append) == 8 and len(lines) == 2


def test_no_machine_with_a_whole_set_is_refused_before_ray_is_asked_for_one():
    with pytest.raises(SetupError, match=r"needs 3 GPUs of one machine, and no machine .* than 2;"):
        places.sets_in(nodes(2.0, 1.0, 2.0), 3, print)


def test_a_spec_for_the_cpu_is_refused(tmp_path):
    spec = live_on_cards(tmp_path)
    spec.write_text(spec.read_text().replace("device: cuda", "device: cpu"))
    run = run_script("run_study.py", spec, "--cluster", "auto", "--out", tmp_path / "out")
    assert run.returncode == 2 and "the spec says `device: cpu`" in run.stderr


def test_without_ray_the_line_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", os.environ.get("RAY_USAGE_STATS_ENABLED", "0"))
    with pytest.raises(SetupError, match=r"gpu-allocation-study\[cluster\]"):
        ray_here.ray()
