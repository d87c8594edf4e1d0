"""Know tables of this Optuna's own version without Alembic, which takes half a second to import."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from optuna.storages._rdb import storage as of_optuna
from sqlalchemy import inspect, text

REVISION = re.compile(r"^(down_revision|revision) = \"([^\"]+)\"", re.MULTILINE)


class KnownVersions(of_optuna._VersionManager):
    """The version of a database's tables; Optuna's way is left to tables that are not current."""

    def _init_alembic(self) -> None:
        if not self._revisions():
            super()._init_alembic()

    def check_table_schema_compatibility(self) -> None:
        """Refuse tables of another version.

        Raises:
            RuntimeError: They are.
        """
        revisions = self._revisions()
        if len(revisions) > 1:
            raise RuntimeError(f"its tables are of several versions: {', '.join(revisions)}")
        if revisions != [newest_revision()]:
            super().check_table_schema_compatibility()

    def _revisions(self) -> list[str]:
        """Return the revisions of the tables; a database in order has one, a new one none."""
        with self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return []
            rows = connection.execute(text("SELECT version_num FROM alembic_version"))
            return sorted(map(str, rows.scalars()))


@cache
def newest_revision() -> str | None:
    """Return the revision that none of this Optuna's migrations begins with."""
    folder = files("optuna.storages._rdb") / "alembic" / "versions"
    texts = [f.read_text(encoding="utf-8") for f in folder.iterdir() if f.name.endswith(".py")]
    told = [(m[1], m[2]) for t in texts for m in REVISION.finditer(t)]
    earlier = {revision for what, revision in told if what == "down_revision"}
    newest = [r for what, r in told if what == "revision" and r not in earlier]
    return newest[0] if len(newest) == 1 else None
