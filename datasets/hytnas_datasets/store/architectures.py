"""Architectures that were sampled into a study, by purpose and in their order: the resume journal."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from hytnas_datasets.errors import SpaceError, StudyError
from hytnas_datasets.spaces import Architecture, Space, get_space
from hytnas_datasets.spaces.space import Choice
from hytnas_datasets.store.database import Database, Row, decode
from hytnas_datasets.store.records import Purpose


class StoredVariable(msgspec.Struct, frozen=True):
    """A variable and its choices; an index of -1 says that it does not exist in an architecture."""

    name: str
    choices: tuple[Choice, ...]

    def value(self, index: int) -> Choice | None:
        """The choice at ``index``, or ``None`` where the variable does not exist."""
        return self.choices[index] if index >= 0 else None


class StoredSpace(msgspec.Struct, frozen=True):
    """The definition of a space as a study keeps it: enough to name every choice in a table."""

    name: str
    hash: str
    variables: tuple[StoredVariable, ...]


def put_space(connection: sqlite3.Connection, space: Space) -> None:
    """Store the definition of ``space``; raises StudyError if one of the same name differs."""
    row = connection.execute("SELECT hash FROM space WHERE name = ?", (space.name,)).fetchone()
    if row is None:
        stored = [StoredVariable(variable.name, variable.choices) for variable in space.variables]
        variables = msgspec.json.encode(stored).decode()
        connection.execute(
            "INSERT INTO space (name, hash, variables) VALUES (?, ?, ?)",
            (space.name, space.hash(), variables),
        )
    elif row["hash"] != space.hash():
        raise StudyError(
            f"this study was made with another definition of the space {space.name!r} "
            f"({row['hash']}, now {space.hash()})",
            "Start a new study in another folder, or go back to the definition it was made with",
        )


def identifier(architecture: Architecture, stored: StoredSpace) -> str:
    """The architecture's id, or its choices' positions where this machine has another space, or none."""
    with suppress(SpaceError):
        space = get_space(stored.name)
        if space.hash() == stored.hash:
            return space.format(architecture)
    return "-".join(map(str, architecture.indices))


def put_architecture(connection: sqlite3.Connection, architecture: Architecture) -> int:
    """The row id of ``architecture``, which is inserted where it is new."""
    key = (architecture.space, msgspec.json.encode(architecture.indices).decode())
    connection.execute("INSERT INTO architecture (space, choices) VALUES (?, ?) ON CONFLICT DO NOTHING", key)
    row = connection.execute("SELECT id FROM architecture WHERE space = ? AND choices = ?", key).fetchone()
    return int(row["id"])


def check_architecture(architecture: Architecture, spaces: Mapping[str, StoredSpace]) -> Architecture:
    """The architecture, if it makes choices of a stored space; raises StudyError."""
    space = spaces.get(architecture.space)
    if space is None:
        raise StudyError(f"an architecture is of the space {architecture.space!r}, which cannot be read")
    counts = [len(variable.choices) for variable in space.variables]
    if len(counts) != len(architecture.indices) or any(
        not -1 <= index < count for index, count in zip(architecture.indices, counts, strict=True)
    ):
        raise StudyError(f"an architecture makes choices that {space.name} does not have")
    return architecture


def as_architecture(row: Row, spaces: Mapping[str, StoredSpace]) -> Architecture:
    """The architecture in the columns ``space`` and ``choices`` of a row; raises StudyError."""
    return check_architecture(Architecture(row["space"], decode(row["choices"], tuple[int, ...])), spaces)


class Architectures:
    """The samples of a study, one for each purpose, in the order they were drawn."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, space: Space, architectures: Sequence[Architecture], plan_hashes: Sequence[str], purpose: str
    ) -> None:
        """Append architectures to the sample of ``purpose``, all or nothing; known ones keep their place.

        Raises StudyError if the study holds another definition of the space.
        """
        if len(architectures) != len(plan_hashes):
            raise ValueError(f"{len(architectures)} architectures but {len(plan_hashes)} plan hashes")
        strangers = {architecture.space for architecture in architectures} - {space.name}
        if strangers:
            raise StudyError(
                f"architectures of {', '.join(sorted(strangers))} cannot be stored under {space.name!r}"
            )
        with self._database.transaction() as connection:
            put_space(connection, space)
            for architecture, plan_hash in zip(architectures, plan_hashes, strict=True):
                connection.execute(
                    "INSERT INTO sample (purpose, architecture_id, plan_hash, run_id) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT DO NOTHING",
                    (purpose, put_architecture(connection, architecture), plan_hash, self._database.run_id),
                )

    def of(self, purpose: str) -> list[tuple[Architecture, str]]:
        """(architecture, plan hash) in sampled order: the resume journal of ``purpose``."""
        spaces = self.known_spaces()
        return self._database.read(
            "sample",
            "SELECT sample.id, space, choices, plan_hash FROM sample "
            "JOIN architecture ON architecture.id = architecture_id WHERE purpose = ? ORDER BY sample.id",
            lambda row: (as_architecture(row, spaces), row["plan_hash"]),
            (purpose,),
        )

    def all(self) -> list[Architecture]:
        """The distinct architectures of the study, but for one that is there as the canary alone."""
        spaces = self.known_spaces()
        found = self._database.read(
            "architecture",
            "SELECT id, space, choices FROM architecture "
            "WHERE id NOT IN (SELECT architecture_id FROM sample WHERE purpose = :canary) "
            "OR id IN (SELECT architecture_id FROM sample WHERE purpose != :canary)",
            lambda row: as_architecture(row, spaces),
            {"canary": Purpose.CANARY},
        )
        return list(dict.fromkeys(found))

    def counts(self) -> dict[str, int]:
        """How many architectures were sampled for each purpose."""
        rows = self._database.query(
            "SELECT purpose, count(*) AS n FROM sample GROUP BY purpose ORDER BY min(id)"
        )
        return {row["purpose"]: row["n"] for row in rows}

    def by_plan(self) -> dict[str, Architecture]:
        """An architecture of each network, by plan hash: the one that was sampled first."""
        spaces = self.known_spaces()
        found = self._database.read(
            "sample",
            "SELECT sample.id, plan_hash, space, choices FROM sample "
            "JOIN architecture ON architecture.id = architecture_id ORDER BY sample.id DESC",
            lambda row: (row["plan_hash"], as_architecture(row, spaces)),
        )
        return dict(found)

    def spaces(self) -> list[StoredSpace]:
        """Every space the study has architectures of, as it was defined when they were drawn."""
        return self._database.read(
            "space",
            "SELECT rowid, name, hash, variables FROM space ORDER BY name",
            lambda row: StoredSpace(
                row["name"], row["hash"], decode(row["variables"], tuple[StoredVariable, ...])
            ),
        )

    def known_spaces(self) -> dict[str, StoredSpace]:
        """The same by name."""
        return {space.name: space for space in self.spaces()}
