"""Checks the house where no linter does: the sizes of its scripts and folders, and its tests."""

from pathlib import Path

from study.cli.parser import SCRIPTS

REPOSITORY = Path(__file__).resolve().parents[1]
TESTED_IN = {  # folders that are tested together with others
    "objectives/engines/faster_whisper": "objectives/engines/vllm/fit/test_cell.py",
    "study/cli/before_run": "study/search/test_dry_run.py",
    "study/init_spec/forms/compose": "study/init_spec/forms/test_forms.py",
    "study/report/effects": "study/analysis/main_effects/test_effects.py",
    "study/sampler_benchmark/rivals": "study/sampler_benchmark/test_samplers.py",
}


def test_the_map_has_every_room():
    page = (REPOSITORY / "CONTRIBUTING.md").read_text()
    modules = (p.relative_to(REPOSITORY) for p in REPOSITORY.glob("[os]*/*/*.py"))
    rooms = {f"{p.parent}/" for p in modules if p.parts[0] in ("objectives", "study")}
    assert len(rooms) > 30 and {room for room in rooms if f"`{room}" not in page} == set()


def test_a_script_has_less_than_60_lines():
    scripts = (REPOSITORY / "scripts").glob("*.py")
    assert [p.name for p in scripts if len(p.read_text().splitlines()) >= 60] == []


def test_a_folder_has_no_more_than_13_modules():
    folders = {
        p.parent for name in ("objectives", "study") for p in (REPOSITORY / name).rglob("*.py")
    }
    most = {REPOSITORY / "study/commands": len(SCRIPTS) + 1}  # a module for each verb
    assert [str(f) for f in folders if len(list(f.glob("*.py"))) > most.get(f, 13)] == []


def test_a_folder_has_tests_in_the_folder_of_its_name_or_it_is_said_where() -> None:
    modules = (p for name in ("objectives", "study") for p in (REPOSITORY / name).rglob("*.py"))
    folders = {p.parent.relative_to(REPOSITORY) for p in modules if p.name != "__init__.py"}
    assert len(folders) > 60
    without = {str(f) for f in folders if not [*(REPOSITORY / "tests" / f).glob("test_*.py")]}
    assert without == set(TESTED_IN)
    assert [f for f in TESTED_IN.values() if not (REPOSITORY / "tests" / f).is_file()] == []


def test_a_folder_of_tests_has_the_name_of_the_folder_that_they_test() -> None:
    tests = REPOSITORY / "tests"
    modules = (p for name in ("objectives", "study") for p in (tests / name).rglob("test_*.py"))
    folders = {p.parent.relative_to(tests) for p in modules}
    assert len(folders) > 50 and [f for f in folders if not (REPOSITORY / f).is_dir()] == []
