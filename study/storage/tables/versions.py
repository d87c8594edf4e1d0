"""The version of a database's tables is known without Alembic, whose import takes half a second."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from optuna.storages._rdb.storage import _VersionManager
from sqlalchemy import Column, MetaData, String, Table, insert, inspect, select

REVISION = re.compile(r'^(down_revision|revision) = (?:"([^"]+)"|None)', re.MULTILINE)
# as Alembic makes it
VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
VERSION.primary_key.name = "alembic_version_pkc"


class KnownVersions(_VersionManager):
    """This keeps the version of a database's tables; one from before Alembic is left to Optuna."""

    def get_current_version(self) -> str:
        """Return the revision of the tables.

        Raises:
            RuntimeError: They are of several.
        """
        revisions = self._revisions()
        if len(revisions) != 1:
            raise RuntimeError(f"its tables are of several versions: {', '.join(revisions)}")
        return revisions[0]

    def get_head_version(self) -> str:
        """Return the revision that this Optuna writes."""
        return migrations()[0]

    def get_all_versions(self) -> list[str]:
        """Return every revision that it knows, the newest first."""
        return [*migrations()]

    def _init_alembic(self) -> None:
        if self._revisions():
            return
        if not self._is_alembic_supported():
            super()._init_alembic()
            return
        with self.engine.begin() as connection:
            VERSION.create(connection, checkfirst=True)
            connection.execute(insert(VERSION).values(version_num=self.get_head_version()))

    def _revisions(self) -> list[str]:
        """Return the revisions of the tables; a database in order has one, a new one none."""
        with self.engine.connect() as connection:
            if not inspect(connection).has_table(VERSION.name):
                return []
            return sorted(map(str, connection.execute(select(VERSION.c.version_num)).scalars()))


@cache
def migrations() -> tuple[str, ...]:
    """Return the revisions of this Optuna's migrations, the newest first.

    Raises:
        RuntimeError: They are not one after the other.
    """
    folder = files("optuna.storages._rdb") / "alembic" / "versions"
    earlier: dict[str, str | None] = {}
    for file in folder.iterdir():
        if file.name.endswith(".py"):
            ids = {m[1]: m[2] for m in REVISION.finditer(file.read_text(encoding="utf-8"))}
            earlier[ids["revision"]] = ids["down_revision"]
    chain = [r for r in earlier if r not in earlier.values()]
    while len(chain) <= len(earlier) and (before := earlier[chain[-1]]) is not None:
        chain.append(before)
    if len(chain) != len(earlier):
        raise RuntimeError("the migrations of this version of Optuna are not one after the other")
    return tuple(chain)
