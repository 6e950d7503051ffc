"""A boundary around plugin code, so that an error says whose fault it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hub.connector import MissingVerb
from hub.errors import CrossdockError, StreamError


@contextmanager
def blame(connector: str, place: str) -> Iterator[None]:
    """An exception of the connector's own that leaves this block becomes StreamError C190.

    Its text is left out: it can hold a record or a password. Its place is named, within the connector's own file where it
    passed there. Our own errors pass as they are.
    """
    try:
        yield
    except CrossdockError:
        raise
    except MissingVerb as error:
        (verb,) = error.args
        what, fix = f"the connector '{connector}' has no {verb}", f"write its method {verb}"
        raise StreamError("C190", what, place=place, fix=fix) from None
    except Exception as error:
        raise StreamError(
            "C190",
            f"the connector '{connector}' failed with {type(error).__name__} at {raised_at(error, connector)}",
            place=place,
            fix="this is a defect of the connector; the other streams do not suffer from it",
            detail=f"{type(error).__name__} at {where(error)}",
        ) from None


# What a disk says, and no socket: requests' errors are OSErrors, too.
_DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
)
_SQLITE = (
    "disk is full",
    "disk I/O",
    "readonly database",
    "unable to open",
)  # and not that somebody else has it locked
# In DuckDB's errors of several classes, of a commit or a checkpoint, too; often not in the first line.
_DUCKDB = tuple(
    os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
)
_ENDED = ("duckdb.IOException", "duckdb.TransactionException", "duckdb.FatalException")  # their words hold no values


def disk_refusal(said: str) -> StreamError:
    """What is said where the disk refuses: the next run goes on, once a person has seen to it."""
    what = f"a file of the project cannot be read or written: {said}"
    fix = "is there room on the disk, and may we write there? Then run it again: what was done is kept"
    return StreamError("F240", what, fix=fix)


def disk_trouble(error: BaseException) -> str:
    """What the disk refused, in words; empty where the error is another. SQLite and DuckDB wrap it in errors of their own."""
    if isinstance(error, OSError):
        said = error.strerror or type(error).__name__
        return (f"{said}: {error.filename}" if error.filename else said) if error.errno in _DISK else ""
    kind, lines = f"{type(error).__module__}.{type(error).__name__}", str(getattr(error, "orig", error)).splitlines()
    said = lines[0] if lines else ""
    if kind.removeprefix("_") in _ENDED and (told := disk_words(lines)):
        return told
    if kind == "sqlalchemy.exc.OperationalError" and any(one in said for one in _SQLITE):
        return f"{said} (the ledger)"
    return said if kind.removeprefix("_") == "duckdb.IOException" else ""


def disk_words(lines: Sequence[str]) -> str:
    """The line of DuckDB's message that tells what the disk refused; empty where it was something else."""
    return next((line for line in lines if any(one in line for one in _DUCKDB)), "")


def raised_at(error: BaseException, connector: str) -> str:
    """`shop.py:12`: the last place in the file of the connector `shop`; without one, where it was raised."""
    trace, file = error.__traceback__, None
    while trace:
        passed = Path(trace.tb_frame.f_code.co_filename)
        file = passed if passed.stem == connector else file
        trace = trace.tb_next
    return where(error, file)


def where(error: BaseException, within: Path | None = None) -> str:
    """`file.py:12`, where it was raised; the last place in the file `within`, if it passed there."""
    trace = error.__traceback__
    found = ""
    while trace:
        file = Path(trace.tb_frame.f_code.co_filename)
        if within is None or file == within:
            found = f"{file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    if not found and isinstance(error, SyntaxError):
        return f"{Path(error.filename or '?').name}:{error.lineno}"
    return found or (where(error) if within else "?")
