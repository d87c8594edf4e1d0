"""Checks the sizes of the house, of which no linter knows: its scripts and its folders."""

from pathlib import Path

from study.cli.parser import SCRIPTS

REPOSITORY = Path(__file__).resolve().parents[1]


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
    # one holds a module for each verb of the program; one a file that others load by its path
    most = {REPOSITORY / "study/commands": len(SCRIPTS) + 1, REPOSITORY / "objectives": 14}
    assert [str(f) for f in folders if len(list(f.glob("*.py"))) > most.get(f, 13)] == []
