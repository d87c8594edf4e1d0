"""Checks the OptunaHub package.

It is built from study/tournament, has the registry's form, and works without this project.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

from study.tournament import TournamentSampler

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts/build_optunahub.py"
ALONE = """
import sys
sys.modules.update(dict.fromkeys(("study", "objectives", "scripts")))  # importing one of them fails
import json, os, runpy, warnings
import optuna, optunahub
optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.simplefilter("error")
"""
# to import Optuna takes a second and a half of a core; each code then has a process of its own
EACH = """
while line := sys.stdin.readline():
    name, folder, code = json.loads(line)
    if (child := os.fork()) == 0:
        os.chdir(folder)
        for number in (1, 2):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        exec(code, {**globals(), "__name__": "__main__"})
        sys.stdout.flush()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
PROPOSALS = """
def objective(trial):
    share = trial.suggest_float("share", 0.4, 0.6, step=0.05)
    size = trial.suggest_categorical("size", ["tiny", "base", "small"])
    trial.set_constraint("memory", share - 0.56)
    if share > 0.56:
        raise optuna.TrialPruned
    return share * len(size) + 0.01 * (trial.number % 3)

monotone = {"memory": {"share": 1, "size": 0}}
study = optuna.create_study(sampler=module.TournamentSampler(seed=3, monotone=monotone))
study.optimize(objective, n_trials=25)
proposals = [[trial.params, trial.user_attrs["role"]] for trial in study.trials]
"""


def build(into):
    return subprocess.run(
        [sys.executable, SCRIPT, "--into", into], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a cache of optunahub in which the registry has the package.

    load_module asks no network for what is there.
    """
    folder = tmp_path_factory.mktemp("cache")
    done = build(folder / "github.com/optuna/optunahub-registry/main")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def registry(cache):
    return cache / "github.com/optuna/optunahub-registry/main/package"


@pytest.fixture(scope="module")
def package(registry):
    return registry / "samplers/tournament"


@pytest.fixture(scope="module")
def stranger(cache):
    """Start a process that cannot import this project."""
    env = {**os.environ, "OPTUNAHUB_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-I", "-B", "-c", ALONE + EACH]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=env, **pipes) as process:
        yield process


@pytest.fixture
def alone(stranger, tmp_path):
    """Return what says what code prints in a process that cannot import this project."""

    def run(code):
        output = tmp_path / "said"
        stranger.stdin.write(json.dumps([str(output), str(tmp_path), code]) + "\n")
        stranger.stdin.flush()
        code = stranger.stdout.readline()
        assert code == "0\n", output.read_text()
        return output.read_text()

    return run


def load(registry):
    """Return the line of code that loads the sampler from the registry."""
    arguments = f'"samplers/tournament", registry_root={str(registry)!r}'
    return f"module = optunahub.load_local_module({arguments})"


def test_it_proposes_exactly_what_ours_does(alone, registry):
    text = alone(load(registry) + PROPOSALS + "print(json.dumps(proposals))")
    ours = {
        "optuna": optuna,
        "module": sys.modules[TournamentSampler.__module__.rpartition(".")[0]],
    }
    exec(PROPOSALS, ours)
    assert json.loads(text) == ours["proposals"]
    assert {role for _, role in ours["proposals"]} == {"random", "child", "fresh", "replicate"}


def test_the_example_runs(alone, package):
    text = alone(f"runpy.run_path({str(package / 'example.py')!r}, run_name='__main__')")
    assert re.search(r"\{'share': 0\.5, 'size': 'base'\}: .* the best with probability", text)


def test_the_example_of_its_readme_runs(alone, package):
    (code,) = re.findall(r"```python\n(.*?)```", (package / "README.md").read_text(), re.DOTALL)
    assert alone(code) == "33 {'x': 0, 'y': 'adam'}\n"


def test_its_doctests_hold(alone, registry):
    code = f"""
import doctest
{load(registry)}
for name in [name for name in sys.modules if name.startswith(module.__name__)]:
    results = doctest.testmod(sys.modules[name])
    print(name.rpartition(".")[2], results.attempted, results.failed)
"""
    counts = dict(line.split(maxsplit=1) for line in alone(code).splitlines())
    assert {name for name, count in counts.items() if not count.startswith("0 ")} >= {
        "tournament",
        "exhaustion",
    }
    assert all(count.endswith(" 0") for count in counts.values())


def test_its_own_tests_pass(package, tmp_path):
    options = ["-q", "-p", "no:cacheprovider", "-W", "error"]
    command = [sys.executable, "-I", "-B", "-m", "pytest", *options, package]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_head_of_its_readme_is_what_the_registry_checks(package):
    _, head, body = (package / "README.md").read_text().split("---\n", 2)
    data = yaml.safe_load(head)
    assert data.keys() == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert all(isinstance(data[name], str) for name in ("author", "title", "description"))
    assert all(isinstance(entry, str) for entry in [*data["tags"], *data["optuna_versions"]])
    assert "sampler" in data["tags"]
    assert data["license"] == "MIT License"
    for section in ("Abstract", "APIs", "Example"):
        assert f"\n## {section}\n" in body


def test_its_readme_names_what_it_offers(package):
    text = (package / "README.md").read_text()
    (offered,) = (
        ast.literal_eval(node.value)
        for node in ast.parse((package / "__init__.py").read_text()).body
        if isinstance(node, ast.Assign)
    )
    settings = set(TournamentSampler().settings())
    assert {name for name in {*offered, *settings} if f"`{name}" not in text} == set()


def test_it_holds_the_files_of_a_package_and_no_others(package):
    ours = REPOSITORY / "study/tournament"
    source = {str(path.relative_to(ours)) for path in ours.rglob("*.py")}
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == {*source, "README.md", "LICENSE", "example.py", "tests/test_tournament.py"}
    assert not list(package.parent.glob(".*"))


def test_it_knows_nothing_of_this_project(package):
    modules = "|".join(
        path.stem for path in (REPOSITORY / "study").iterdir() if path.suffix in {".py", ""}
    )
    ours = re.compile(rf"(from|import) (study|objectives)\b|\bobjectives\.|\bstudy\.({modules})\b")
    for path in package.rglob("*"):
        assert path.is_dir() or not ours.findall(path.read_text()), path


def test_a_second_build_replaces_the_first_and_what_was_stale_in_it(tmp_path):
    build(tmp_path)
    package = tmp_path / "package/samplers/tournament"
    (package / "stale.py").write_text("")
    (package / "sampler.py").write_text("")
    assert build(tmp_path).stdout == f"{package}\n"
    assert not (package / "stale.py").exists()
    assert (package / "sampler.py").read_text() == (
        REPOSITORY / "study/tournament/sampler.py"
    ).read_text()
    assert [path.name for path in package.parent.iterdir()] == ["tournament"]


def test_a_folder_that_is_no_package_is_left_as_it_is(tmp_path):
    mine = tmp_path / "package/samplers/tournament/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = build(tmp_path)
    assert done.returncode == 2
    assert "is not a package that was built here" in done.stderr
    assert mine.read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused_with_the_way_out(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    done = build(file)
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {file} is no folder; choose another with --into\n",
    )
