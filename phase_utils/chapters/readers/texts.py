"""Text files in whatever encoding and compression they come."""

import codecs
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

LIMIT = 2**30  # bytes of text, unpacked
# longer marks first: that of UTF-32 begins with that of UTF-16
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Text:
    """The text of a file, plain or gzip, in UTF-8, UTF-16, UTF-32 or else Windows-1252.

    Raises
    ------
    ValueError
        For a file that cannot be read, is damaged, no text, or unpacks to more than `LIMIT`.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                content = file.read(LIMIT + 1)
        except OSError as error:
            raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
        if content.startswith(b"\x1f\x8b"):
            content = _gunzipped(path.name, content)
        if len(content) > LIMIT:
            raise ValueError(f"{path.name} must hold at most {LIMIT} bytes of text, got more")
        if not content.strip():
            raise ValueError(f"{path.name} must hold a table, got an empty file")
        self._content = content
        self._encoding = _encoding(path.name, content)

    def lines(self) -> Iterator[str]:
        """The lines with their ends, which are those that editors know: str.splitlines has more."""
        return io.TextIOWrapper(io.BytesIO(self._content), self._encoding, newline="")


def _gunzipped(file: str, content: bytes) -> bytes:
    parts, size = [], 0
    while content:  # a gzip file may have several members
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(content, LIMIT + 1 - size))
        except zlib.error as error:
            raise ValueError(f"{file} must be a whole gzip file, got {error}") from None
        size += len(parts[-1])
        if size > LIMIT:
            break
        if not unpacker.eof:
            raise ValueError(f"{file} must be a whole gzip file, got one that ends too early")
        content = unpacker.unused_data.lstrip(b"\0")  # padding is allowed
    return b"".join(parts)


def _encoding(file: str, content: bytes) -> str:
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1", b"\x93NUMPY", b"%PDF")):
        raise ValueError(f"{file} must be a text file, got one of another kind; save it as CSV")
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            candidates = [name]
            break
    else:
        # without a mark, the zeros of ASCII characters tell
        zeros = {b"\0": "utf-16-be"}.get(content[:1]) or {b"\0": "utf-16-le"}.get(content[1:2])
        candidates = [zeros] if zeros else ["utf-8", "cp1252", "latin-1"]
    for name in candidates:
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return name
    raise ValueError(f"{file} must be a text file, got bytes that are no text; save it as CSV")
