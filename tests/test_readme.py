"""Checks that what the pages say exists and runs.

That is their commands, options, links, metric names, spec keys and failure classes.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from made.studies import copied
from processes.commands import main_of, run_script

from objectives.diagnosis.patterns import patterns
from objectives.errors import BadInput
from objectives.measurement import is_figure
from study.cli import exit_codes
from study.search.expected_time import guess_s
from study.showcase.readme_tables import rendered, replayed, stale
from study.spec.load import load

REPOSITORY = Path(__file__).resolve().parents[1]
GUIDES = sorted((REPOSITORY / "study/guides").glob("*.md"))
PAGES = {
    p: p.read_text() for p in (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *GUIDES)
}
SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.py"))
COMMANDS = [  # most scripts' help is there
    *sorted((REPOSITORY / "study/commands").glob("[!_]*.py")),
    REPOSITORY / "study/showcase/compare_samplers.py",
]
MINIMAL = {"name": "readme", "search_space": {"vllm_memory_util": [0.4, 0.5]}, "device": "cpu"}
PARSED = 77  # the exit code of a command that was stopped once its arguments were understood

# Commands that are not run here: the real script parses their arguments, and the first file of each
# runs them; the words say why they are not run here.
TOPS = ("objectives", "study", "scripts", "tests")
ELSEWHERE = {
    "python scripts/run_study.py my_gpu.yaml": ("tests/test_gpu.py", "needs a GPU"),
    "python scripts/run_study.py study/specs/cpu.yaml": (
        ".ci/run",
        "half an hour, live; there a short one",
    ),
    "python -m objectives.traffic my_clips": (
        "tests/objectives/traffic/test_main.py",
        "needs speech of one's own",
    ),
    "python scripts/fit.py my_gpu.yaml": ("tests/study/fit/test_fit.py", "needs a model"),
    "python scripts/record.py": (".ci/run", "half an hour on live servers"),
    "python scripts/install_cpu_servers.py": (".ci/run", "installs 4.5 GB"),
    "python scripts/report.py artifacts/my_gpu/study.db": (
        "tests/study/storage/test_find.py",
        "a study of a GPU",
    ),
    "python scripts/dashboard.py": ("tests/study/dashboard/test_server.py", "serves until Ctrl-C"),
    "python scripts/bench_load.py": (
        "tests/objectives/rig/test_load_bench.py",
        "minutes; there a short one, live",
    ),
    "python scripts/bench_lateness.py": (
        "tests/study/bench/test_lateness.py",
        "minutes on real servers; there fake ones",
    ),
    "python -m tests.campaigns": (".ci/run", "takes the minutes that it is given"),
    "python -m tests.campaigns.sizes": (
        "tests/campaigns/test_short.py",
        "minutes; there a short one",
    ),
    "python tests/support/simulations/attacks.py": (
        "tests/study/tournament/test_how_good.py",
        "takes a minute; there fewer tables",
    ),
    "python tests/support/simulations/races.py": (
        "tests/study/racing/test_giving_up.py",
        "takes minutes; there fewer studies",
    ),
    "python tests/support/simulations/words.py": (
        "tests/study/search/test_samplers.py",
        "takes minutes; there fewer studies",
    ),
    "python objectives/on_demand/front.py": (
        "tests/objectives/on_demand/test_front.py",
        "listens until it is stopped",
    ),
    "python scripts/capture.py": (
        "tests/study/commands/test_capture.py",
        "stands before servers that run",
    ),
    "python -m objectives.rig.capture_bench": (
        "tests/objectives/rig/test_capture_bench.py",
        "takes minutes; there a short one",
    ),
    "python scripts/compare_samplers.py": (
        "tests/study/sampler_benchmark/test_results.py",
        "takes a minute, or half an hour",
    ),
    "python scripts/build_optunahub.py": (
        "tests/scripts/test_build_optunahub.py",
        "writes into the repository",
    ),
    "python scripts/show_recording.py": (
        "tests/test_readme.py",
        "writes these pages; a test says if they are current",
    ),
    "python scripts/run_dream.py": (
        "tests/study/dream/test_examples.py",
        "goes on for ever, or takes a minute",
    ),
    "python -m study.dream": ("tests/study/dream/test_run_dream.py", "goes on for ever"),
    "python scripts/report.py before/study.db after/study.db": (
        "tests/study/report/studies/test_side_by_side.py",
        "needs two studies",
    ),
    "python scripts/quick.py": ("tests/study/quick/test_quick.py", "reads what runs here"),
    "python scripts/init_spec.py": (
        "tests/study/init_spec/test_init_spec.py",
        "reads units of systemd",
    ),
    "python scripts/schedule_study.py": (
        "tests/study/service_pause/test_schedule.py",
        "reads units of systemd",
    ),
    "install -m 644 systemd/": ("tests/study/service_pause/test_schedule.py", "installs units"),
    "systemctl daemon-reload": ("tests/study/service_pause/test_schedule.py", "needs systemd"),
    "systemctl enable --now gpu-allocation-study.timer": (
        "tests/study/service_pause/test_schedule.py",
        "systemd",
    ),
    "python scripts/confirm.py": (
        "tests/study/confirmation/test_confirm.py",
        "launches servers for an hour",
    ),
    "python scripts/promote.py": (
        "tests/study/deploy/test_deployment_rig.py",
        "changes systemd units",
    ),
}


def blocks(text: str) -> list[str]:
    """Return the lines that are indented as commands, those that a backslash continues as one.

    A block of Python, or one that begins as YAML or JSON does, holds none.
    """
    text = re.sub(r"^```python\n.*?^```\n", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r" \\\n +", " ", text)
    lines = [
        block.splitlines()
        for block in re.findall(r"(?:^ {4,}\S.*\n)+", text, re.MULTILINE)
        if not re.match(r" +([\w.-]+:(\s|$)|[-{#])", block)
    ]
    return [part.strip() for block in lines for line in block for part in line.split(" && ")]


def inline(text: str) -> list[str]:
    """Return the commands between backquotes."""
    return [
        c
        for c in re.findall(r"`([^`\n]+)`", text)
        if re.match(r"(sudo )?\S*python |scripts/\w+\.py ", c)
    ]


def bare(command: str) -> str:
    """Return a command without what stands behind it or before it: a comment, sudo."""
    words = shlex.split(re.split(r"\s{2,}", command)[0], comments=True)
    words = words[1:] if words[0] == "sudo" else words
    is_python = words[0].endswith("/python")  # of a virtual environment, which sudo does not know
    words = words[1:] if is_python else words
    return shlex.join(["python", *words] if is_python or words[0].startswith("scripts/") else words)


IN_PAGES = sorted({bare(c) for text in PAGES.values() for c in (*blocks(text), *inline(text))})
IN_HELP = sorted(
    {
        bare(line)
        for path in (*SCRIPTS, *COMMANDS)
        for line in blocks(path.read_text().split('"""')[1])
        if "python" in line
    }
)
OF_SCRIPTS = sorted({c for c in (*IN_PAGES, *IN_HELP) if c.startswith("python scripts/")})

# The first command of a script is run in an interpreter of its own, those after it in this one.
FIRST = {c.split()[1]: c for c in reversed(IN_PAGES) if c in OF_SCRIPTS}
LATER = {*OF_SCRIPTS} - {*FIRST.values()}


def parsed(command: str) -> tuple[int, str]:
    """Return the exit code of a script that is stopped where its work would begin, and its text.

    It is PARSED where the script understood its arguments.
    """

    @contextmanager
    def stop() -> Iterator[None]:
        raise SystemExit(PARSED)
        yield

    script, *arguments = shlex.split(command)[1:]
    name = Path(script).name
    own = main_of(name).__globals__  # of a script; a command imports `exiting` when it is called
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(own, "exiting", stop)
        patch.setattr(exit_codes, "exiting", stop)
        ran = run_script(name, *arguments, cwd=REPOSITORY)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("command", OF_SCRIPTS)
def test_the_script_understands_the_command(command):
    code, text = parsed(command)
    assert code == (0 if "--help" in command else PARSED), text
    for file in (
        a for a in shlex.split(command) if a.startswith(("study/", "tests/", "objectives/"))
    ):
        assert (REPOSITORY / file).is_file(), file


@pytest.mark.parametrize("arguments", ["report.py --no-such", "run_study.py a b"])
def test_a_flag_that_does_not_exist_would_be_noticed(arguments):
    assert parsed(f"python scripts/{arguments}")[0] == 2


@pytest.fixture(scope="module")
def place(shared, tmp_path_factory):
    """Return a folder that looks like the repository and keeps what is written.

    The studies that ship have been replayed there.
    """
    folder = tmp_path_factory.mktemp("pages")
    for path in REPOSITORY.iterdir():
        if path.name not in ("artifacts", "dist", ".servers", ".git"):
            (folder / path.name).symlink_to(path)
    for study in (shared.shipped(), shared.wide()):
        copied(study, folder)
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    words[0] = {"python": sys.executable}.get(words[0], words[0])
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("command", IN_PAGES)
def test_a_command_of_the_pages_runs(command, place):
    if away := next(
        (where for begin, where in ELSEWHERE.items() if command.startswith(begin)), None
    ):
        assert (REPOSITORY / away[0]).is_file()
        return
    match shlex.split(command):
        case ["python", "-m", "pip", "install", *_, what]:
            project = (REPOSITORY / "pyproject.toml").read_text()
            for extra in filter(None, what.partition("[")[2].rstrip("]").split(",")):
                assert f"\n{extra} = [" in project
        case ["python", "-m", "pytest", *_]:
            assert f" {command} |" in (REPOSITORY / ".ci/run").read_text(), (
                "just this, nothing added"
            )
        case ["pre-commit", *rest]:
            assert rest in (["install"], ["run", "--all-files"])
        case ["python", script, *_] if "--help" in command:
            assert parsed(command)[0] == 0 and (REPOSITORY / script).is_file()
        case ["optuna-dashboard", *_]:
            pytest.fail("name scripts/dashboard.py instead")
        case ["python", script, *arguments] if command in LATER:
            ran = run_script(Path(script).name, *arguments, cwd=place)
            assert ran.returncode == 0, ran.stderr
        case _:
            ran = run(command, place)
            assert ran.returncode == 0, ran.stderr


def test_what_is_not_run_here_is_still_in_the_pages():
    commands = " \n".join([*IN_PAGES, *IN_HELP])
    there = [begin for begin in ELSEWHERE if (REPOSITORY / begin.split()[1]).exists()]
    assert [begin for begin in there if begin not in commands] == []


def test_the_checks_before_a_commit_are_those_of_this_environment():
    (repo,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        program, *options = hook["entry"].split()
        assert (hook["language"], program) in (
            ("system", "ruff"),
            ("system", "mypy"),
            ("system", "lint-imports"),
        )
        assert set(options) <= {"check", "format", "--force-exclude"}


def test_the_time_of_a_candidate_is_the_one_that_the_dry_run_tells():
    spec = load(REPOSITORY / "study/specs/gpu.yaml", is_here=False)
    minutes = guess_s(spec.workload) / 60
    assert f"about {minutes:.1f} minutes a candidate" in PAGES[REPOSITORY / "README.md"]
    assert (
        f"{minutes:.1f} min a trial of `gpu.yaml`" in PAGES[REPOSITORY / "study/guides/own_gpu.md"]
    )


def test_what_the_pages_show_of_the_recording_is_current():
    assert stale(rendered(replayed(), REPOSITORY), REPOSITORY) == [], (
        "run python scripts/show_recording.py"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", PAGES[page])
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.fixture(scope="module")
def ours():
    """Return the paths of all our files."""
    return [f"/{p.relative_to(REPOSITORY)}" for top in TOPS for p in (REPOSITORY / top).rglob("*")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_file_of_ours_that_a_page_names_is_there(page, ours):
    begin = "|".join(TOPS)
    named = re.findall(rf"`((?:{begin})/[\w./-]+\.\w+|\w[\w./-]*/\w+\.py)`", PAGES[page])
    assert [n for n in named if not any(path.endswith(f"/{n}") for path in ours)] == []


def test_every_guide_is_linked_from_the_readme_and_every_script_is_in_a_page():
    readme = PAGES[REPOSITORY / "README.md"]
    assert [p.name for p in GUIDES if f"(study/guides/{p.name})" not in readme] == []
    text = "\n".join(PAGES.values())
    assert [p.name for p in SCRIPTS if f"scripts/{p.name}" not in text] == []


def rows(page: str, table: int = 0) -> list[list[str]]:
    """Return the cells of a table of a guide, below its head."""
    tables = re.findall(
        r"(?:^\|.*\n)+", PAGES[REPOSITORY / f"study/guides/{page}.md"], re.MULTILINE
    )
    lines = tables[table].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def test_the_options_are_those_of_the_command():
    options = options_in(run_script("run_study.py", "--help").stdout)
    assert {o for row in rows("commands", 1) for o in options_in(row[0])} == options - {"--help"}


def test_the_metrics_are_fields_of_a_measurement():
    names = [name for row in rows("metrics") for name in quoted(row[0])]
    assert len(names) >= 25
    assert sorted(set(names)) == sorted(names)
    assert [name for name in names if not is_figure(name)] == []


def test_the_failure_classes_are_those_of_the_diagnosis():
    names = [name for row in rows("failures") for name in quoted(row[0])]
    assert sorted(names) == sorted(patterns()["outcomes"])


def spec_keys() -> list[str]:
    keys = []
    for key, _, below in rows("spec"):
        (name,) = quoted(key)
        keys += [name, *(f"{name}.{k}" for k in quoted(below) if "<" not in k)]
    return keys


def complaint(key: str, folder: Path) -> str:
    """Return the error about a spec that has this key, with a value that most keys refuse."""
    value: object = {"it": {}}
    path = key.split(".")
    for name in reversed(path):
        value = {name: [value] if name == "tenants" and value != {"it": {}} else value}
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump(MINIMAL | value))
    try:
        load(file)
    except BadInput as error:
        return str(error).partition(": ")[2]
    return ""


@pytest.mark.parametrize("key", spec_keys())
def test_a_key_of_the_spec_is_known(key, tmp_path):
    assert not complaint(key, tmp_path).startswith(f"{key}: unknown")


@pytest.mark.parametrize(
    "key", ["samplers", "workload.windows_s", "services.llm.modell", "tenants.gib", "gates.p99"]
)
def test_a_key_that_is_not_known_would_be_noticed(key, tmp_path):
    assert complaint(key, tmp_path).startswith(f"{key}: unknown")


def test_the_python_of_the_pages_runs(capsys):
    pages = "\n".join(PAGES.values())
    codes = re.findall(r"^```python\n(.*?)^```", pages, re.MULTILINE | re.DOTALL)
    (code,) = [c for c in codes if "kokoro" not in c]  # which needs packages of its own
    exec(compile(code, "sampler.md", "exec"), {})
    assert "params={'x': 1, 'y': 1}" in capsys.readouterr().out
