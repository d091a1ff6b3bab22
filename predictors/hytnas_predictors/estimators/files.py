"""The files of a saved estimator: a JSON header, and one checked, size-limited file for each member."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from hytnas_agent.regular_file import open_regular
from hytnas_predictors.errors import PredictorError

HEADER = "estimator.json"
FORMAT = 1
HEADER_LIMIT_BYTES = 1 << 20
MEMBER_LIMIT_BYTES = 64 << 20
MEMBERS_LIMIT = 100
Made = TypeVar("Made")
Parameter = str | int | float | bool | None | list[int | float | str]


class MemberFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and hash of one member's file, which is named by its place in the ensemble."""

    bytes: Annotated[int, msgspec.Meta(ge=0, le=MEMBER_LIMIT_BYTES)]
    sha256: str


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``estimator.json`` holds."""

    format: int
    estimator: str
    params: dict[str, Parameter]
    features: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    members: Annotated[list[MemberFile], msgspec.Meta(min_length=1, max_length=MEMBERS_LIMIT)]


def unusable(folder: Path, why: str) -> PredictorError:
    """The error for a saved estimator that cannot be read."""
    return PredictorError(
        f"the saved estimator in {folder} cannot be used: {why}",
        "Fit and save it again (hytnas-profile train).",
    )


def make_header(name: str, params: dict[str, Any], features: int, contents: list[bytes]) -> Header:
    """The header that vouches for the members' contents."""
    members = []
    for data in contents:
        if len(data) > MEMBER_LIMIT_BYTES:
            raise PredictorError(
                f"a member of {name} takes {len(data)} bytes, the limit is {MEMBER_LIMIT_BYTES}",
                "Use fewer or shallower trees.",
            )
        members.append(MemberFile(len(data), hashlib.sha256(data).hexdigest()))
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in params.items()}
    return Header(FORMAT, name, plain, features, members)


def write(folder: Path, header: Header, suffix: str, contents: list[bytes]) -> None:
    """Write the members, then the header."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(contents):
        (folder / f"member-{index}.{suffix}").write_bytes(data)
    (folder / HEADER).write_bytes(msgspec.json.format(msgspec.json.encode(header), indent=1))


def read(folder: Path, name: str, suffix: str) -> tuple[Header, list[bytes]]:
    """The header and the members' bytes, whose sizes and hashes have been compared with the header."""
    header = read_header(folder)
    if header.format != FORMAT:
        raise unusable(folder, f"its format is {header.format}, this version reads {FORMAT}")
    if header.estimator != name:
        raise unusable(folder, f"it is a {header.estimator}, not a {name}")
    contents = []
    for index, member in enumerate(header.members):
        path = folder / f"member-{index}.{suffix}"
        data = read_limited(path, MEMBER_LIMIT_BYTES, folder)
        if len(data) != member.bytes or hashlib.sha256(data).hexdigest() != member.sha256:
            raise unusable(folder, f"{path.name} is damaged")
        contents.append(data)
    return header, contents


def make_unfitted(kind: Callable[..., Made], header: Header, folder: Path) -> Made:
    """An estimator with the parameters of a header; raises PredictorError if it does not take them."""
    params = {key: tuple(value) if isinstance(value, list) else value for key, value in header.params.items()}
    try:
        return kind(**params)
    except TypeError as error:
        raise unusable(folder, f"its parameters are not those of {header.estimator}") from error


def read_header(folder: Path) -> Header:
    """The decoded ``estimator.json``; raises PredictorError."""
    data = read_limited(folder / HEADER, HEADER_LIMIT_BYTES, folder)
    try:
        return msgspec.json.decode(data, type=Header)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise unusable(folder, f"{HEADER} is not what it should be ({error})") from error


def read_limited(path: Path, limit: int, folder: Path) -> bytes:
    """The content of a file of at most ``limit`` bytes; raises PredictorError."""
    try:
        with open_regular(path) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise unusable(folder, f"{path.name} cannot be read ({error.strerror})") from error
    if len(data) > limit:
        raise unusable(folder, f"{path.name} is larger than {limit} bytes")
    return data
