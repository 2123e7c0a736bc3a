"""Schema migrations, shipped inside the package and run by API."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from harness.errors import UserError

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"


def alembic_config() -> Config:
    """Return Alembic's configuration for this package's migrations."""
    from alembic.config import Config  # not needed by readers, and slow to import

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


@cache
def newest_revision() -> str:
    """Return the newest revision's id: the files are numbered, the last one is the newest."""
    return max(path.stem.split("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction. Raises UserError for a newer version's database."""
    from alembic import command
    from alembic.util import CommandError

    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise UserError(
                f"the database was written by a newer version of harness ({error}); "
                "update harness, or delete results/leaderboard.db and run `harness leaderboard`"
            ) from None
