"""Database addresses: SQLite's file or PostgreSQL's server. Messages never repeat one: it may hold a secret."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from harness.errors import UserError

EXAMPLE = "write sqlite:////folder/file.db or postgresql+psycopg://user:password@host/name"


def database_address(where: str | Path) -> Path | URL:
    """Return the SQLite file or the PostgreSQL server that a path or an SQLAlchemy URL names.

    Raises UserError for anything else; a secret's special characters must be percent-encoded, or parts of it would
    be taken for the host's name.
    """
    text = str(where)
    _check_null(text)
    if "://" not in text:
        return Path(os.path.realpath(text))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UserError(f"HARNESS_DATABASE_URL is not a database's address: {EXAMPLE}") from None
    _check_null(*url.translate_connect_args().values())  # which %00 stood for
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database.startswith((":", "file:")) or url.query or url.host:
            raise UserError("HARNESS_DATABASE_URL: a SQLite database is named by its file: sqlite:////folder/file.db")
        return Path(os.path.realpath(url.database))
    if url.get_backend_name() != "postgresql":
        raise UserError(f"HARNESS_DATABASE_URL: only SQLite and PostgreSQL are supported: {EXAMPLE}")
    if "@" in (url.host or "") or "/" in (url.host or ""):
        raise UserError(
            "HARNESS_DATABASE_URL: the host's name holds an @ or a /; "
            "in a user's name or password write @ as %40, / as %2F and : as %3A"
        )
    return url


def _check_null(*parts: object) -> None:
    if any("\0" in str(part) for part in parts):
        raise UserError(f"HARNESS_DATABASE_URL: a database's address holds no null character: {EXAMPLE}")


def without_secrets(text: str, url: URL) -> str:
    """Return a driver's message without the address's password and query, whichever part of the message holds them."""
    secrets = [str(url.password or "")]
    for values in url.query.values():
        secrets += [values] if isinstance(values, str) else values
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
