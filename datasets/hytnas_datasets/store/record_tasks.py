"""The migration by which records of before carry their task whole, and not its resolution and classes."""

import sqlite3

import msgspec


def carry_tasks(connection: sqlite3.Connection) -> None:
    """Give every model file and training its ``task``; all images have three channels until then.

    Records that cannot be read stay as they are, for their readers to name.
    """
    exports = connection.execute("SELECT id, record FROM export").fetchall()
    connection.executemany("UPDATE export SET record = ? WHERE id = ?", map(_with_task, exports))
    trainings = connection.execute("SELECT id, record FROM accuracy").fetchall()
    connection.executemany("UPDATE accuracy SET record = ? WHERE id = ?", map(_with_task, trainings))


def _with_task(row: sqlite3.Row) -> tuple[bytes, int]:
    try:
        record = msgspec.msgpack.decode(row["record"], type=dict[str, object])
        resolution, classes = record.pop("resolution"), record.pop("classes")
    except (msgspec.MsgspecError, UnicodeError, KeyError, TypeError):
        return row["record"], row["id"]
    known = resolution is not None and classes is not None
    task = {"resolution": resolution, "in_channels": 3, "classes": classes} if known else None
    return msgspec.msgpack.encode(record | {"task": task}), row["id"]
