"""What an error of Icechunk or botocore is about: the server's code, or the library's own words.

People name buckets, prefixes and folders as they like: below `timeouts/credentials` every error names
a key with both words in it. So an error is known by its code and by what the library itself says, and
all that is quoted, or is a path, is left out.

Few errors prove that a commit is damaged: an object that is not there, that is too short, or that
cannot be decoded. Whatever else keeps from reading it (a limit of this process, a permission, a clock,
a server that has too much to do) may pass, and proves nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icechunk import Repository, SnapshotInfo

_LINK = re.compile(r"\n\s*(?:\|->|`->)\s")
"""Between an error of Icechunk and its causes, the first of which says the same again."""
_CODE = re.compile(
    r'unhandled error \(([^)]+)\)|Error \{ code: "([^"]+)".*|([A-Z]\w+)(?::(?: .*)?)?'
)
_QUOTED = re.compile(r'`[^`]*`|"[^"]*"|\S*/\S*')
_NO_FILE = re.compile(
    r"Object at location .* not found: (No such file or directory \(os error 2\)|is directory)"
)
_NO_CODE = "Error"
"""All that is left of an answer whose body says nothing."""
_NO_OBJECT = "NoSuchKey"
_NO_SNAPSHOT = "snapshot not found"
_TOO_SHORT = ("InvalidRange", "requested range was invalid")
_UNDECODABLE = (
    "data corruption detected",
    "dictionary mismatch",
    "early eof",
    "error during metadata file deserialization",
    "frame requires too much memory for decoding",
    "header of literals' block doesn't respect format specification",
    "icechunk cannot read file, invalid compression algorithm",
    "icechunk cannot read this file type",
    "incomplete frame",
    "invalid icechunk metadata file",
    "invalid magic numbers in file",
    "manifest information cannot be found in snapshot",
    "restored data doesn't match checksum",
    "src size is incorrect",
    "unknown frame descriptor",
    "unsupported frame parameter",
    "version not supported",
)
"""What Icechunk and Zstandard say of bytes that they did not write; small letters."""


def cause(error: BaseException) -> str:
    """The innermost cause, for a person to read."""
    said = _links(_origin(error))[-1]
    return "an error without a word" if said == _NO_CODE else said or type(error).__name__


def codes(error: BaseException) -> list[str]:
    """Codes of the server, such as `NoSuchKey`."""
    error = _origin(error)
    if isinstance(response := getattr(error, "response", None), dict):
        return [str(response.get("Error", {}).get("Code", ""))]
    found = [_CODE.fullmatch(link) for link in _links(error)]
    return [code for one in found if one for code in one.groups() if code]


def words(error: BaseException) -> str:
    """What the library itself says, in small letters; a line for each cause."""
    error = _origin(error)
    if isinstance(getattr(error, "response", None), dict):
        return ""  # what the server says beside its code may name keys
    if isinstance(template := getattr(error, "fmt", None), str):
        return template.lower()  # of botocore, before names are put in
    said = [link for link in _links(error) if not _CODE.fullmatch(link)]
    return "\n".join(_QUOTED.sub("", link).strip().lower() for link in said)


def is_missing(error: BaseException) -> bool:
    """Whether it says that an object is not there; of a whole commit see `look_up`."""
    return _NO_OBJECT in codes(error) or any(
        _NO_FILE.fullmatch(link.removeprefix("object store error ")) for link in _links(error)
    )


def is_damage(error: BaseException) -> bool:
    """Whether it proves that an object is missing, too short, or not what was written."""
    lines = words(error).splitlines()
    return (
        is_missing(error)
        or _TOO_SHORT[0] in codes(error)
        or any(line.endswith(_TOO_SHORT[1]) or line.startswith(_UNDECODABLE) for line in lines)
    )


def names_no_snapshot(error: BaseException) -> bool:
    """Whether it says that there is no such commit, as Icechunk does after any error at all."""
    return is_missing(error) or _NO_SNAPSHOT in words(error)


def look_up(repository: Repository, snapshot: str) -> SnapshotInfo | None:
    """Facts of a commit, None if it is proven to be gone or damaged.

    Raises:
        IcechunkError: Nobody can say.
    """
    import icechunk

    try:
        return repository.lookup_snapshot(snapshot)
    except icechunk.IcechunkError as error:
        if not is_damage(error):
            raise
        return None


def _origin(error: BaseException) -> BaseException:
    """The error of botocore behind one of s3fs."""
    while error.__cause__ and not (hasattr(error, "response") or hasattr(error, "fmt")):
        error = error.__cause__
    return error


def _links(error: BaseException) -> list[str]:
    """An error of Icechunk as its causes, outermost first, each in one line."""
    head, *chain = _LINK.split(str(error))
    texts = chain or [head.partition("context:")[0]]
    return [" ".join(re.sub(r"\n\s*\|", " ", text).strip(" |\n").split()) for text in texts]
