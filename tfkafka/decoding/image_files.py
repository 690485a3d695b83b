"""Checks of PNG and JPEG files, made before TensorFlow decodes them.

TensorFlow, libpng and libjpeg write to stderr what they find wrong or odd. What can be found before
is found here: with PNG all of it; with JPEG all but damage within the compressed data, for which
that format has no checksum.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"

# The numbers of samples of a pixel, and the bits that a sample may have, by the type of colour.
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_SAMPLES = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _PALETTE: (1, 2, 4, 8)}
# The seven images of an interlaced one: their first column and row, and the steps to the next.
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_LAST_FILTER = 4
_TRUNCATED = "is truncated"

# Markers of JPEG: the start of a frame by the kinds that TensorFlow decodes, of a scan, the end.
_FRAMES = (0xC0, 0xC1, 0xC2)
_OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_SCAN, _END = 0xDA, 0xD9
# What may be within the data of a scan: a byte 0xFF, and marks from which a decoder can restart.
_IN_SCAN = (0x00, *range(0xD0, 0xD8))
_COMPONENTS = (1, 3)


class WrongImageError(ValueError):
    """A file cannot be decoded; the message says why."""


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    depth: int
    colour: int
    is_interlaced: bool


def plain_png(data: bytes, height: int, width: int) -> bytes:
    """Return a PNG file with what decides its pixels alone: no text, profile, gamma or animation.

    Raises WrongImageError where anything is wrong with it, or it has another size.
    """
    chunks = _chunks(data)
    kind, content = next(chunks, (b"", b""))
    if kind != b"IHDR" or len(content) != 13:
        raise WrongImageError("does not begin with a header")
    header = _header(content)
    _refuse_other_size(header.height, header.width, height, width)
    kept, compressed = {b"IHDR": content}, []
    for kind, content in chunks:
        if kind == b"IDAT":
            compressed.append(content)
        elif kind in (b"PLTE", b"tRNS"):
            kept.setdefault(kind, content)
        elif kind[:1].isupper() and kind != b"IEND":
            raise WrongImageError("has a part of an unknown kind")
    _check_palette(header, kept)
    image = b"".join(compressed)
    _check_pixels(header, image)
    parts = [*kept.items(), (b"IDAT", image), (b"IEND", b"")]
    return PNG + b"".join(
        struct.pack(">I4s", len(content), kind)
        + content
        + struct.pack(">I", _checksum(kind, content))
        for kind, content in parts
    )


def check_jpeg(data: bytes, height: int, width: int) -> None:
    """Raise WrongImageError where a JPEG file is truncated, of an unknown kind, or another size."""
    place, has_frame, has_scan = 2, False, False
    while True:
        marker, place = _marker(data, place)
        if marker == _END:
            break
        length = int.from_bytes(data[place : place + 2])
        content = data[place + 2 : place + length]
        if length < 2 or len(content) != length - 2:
            raise WrongImageError(_TRUNCATED)
        place += length
        if marker in _OTHER_FRAMES or (marker in _FRAMES and has_frame):
            raise WrongImageError("is a JPEG of a kind that is not decoded")
        if marker in _FRAMES:
            has_frame = True
            _check_frame(content, height, width)
        elif marker == _SCAN:
            has_scan = True
            place = _end_of_scan(data, place)
    if not has_frame or not has_scan:
        raise WrongImageError("has no image")
    if place < len(data):
        raise WrongImageError(f"has {len(data) - place} bytes after its end")


def _refuse_other_size(height: int, width: int, right_height: int, right_width: int) -> None:
    if (height, width) != (right_height, right_width):
        raise WrongImageError(
            f"is {width} x {height} pixels, must be {right_width} x {right_height}"
        )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and content of each part of a PNG file."""
    place, kind = len(PNG), b""
    while kind != b"IEND":
        if len(data) < place + 12:
            raise WrongImageError(_TRUNCATED)
        length, kind = struct.unpack_from(">I4s", data, place)
        if len(data) < place + 12 + length:
            raise WrongImageError(_TRUNCATED)
        if not kind.isalpha():
            raise WrongImageError("has a part of an unknown kind")
        content = data[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, place + 8 + length)
        if _checksum(kind, content) != checksum:
            raise WrongImageError(f"is damaged: the checksum of its {kind.decode()} is wrong")
        place += 12 + length
        yield kind, content
    if place < len(data):
        raise WrongImageError(f"has {len(data) - place} bytes after its end")


def _checksum(kind: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(kind))


def _header(content: bytes) -> _Header:
    width, height, depth, colour, compression, filters, interlace = struct.unpack(
        ">IIBBBBB", content
    )
    if (
        colour not in _SAMPLES
        or depth not in _DEPTHS.get(colour, (8, 16))
        or compression
        or filters
        or interlace > 1
    ):
        raise WrongImageError("has a wrong header")
    return _Header(width, height, depth, colour, bool(interlace))


def _check_palette(header: _Header, kept: dict[bytes, bytes]) -> None:
    """Check the palette, and drop it and what is transparent where they are not used."""
    palette, transparent = kept.get(b"PLTE", b""), kept.get(b"tRNS", b"")
    if header.colour != _PALETTE:
        kept.pop(b"PLTE", None)
    elif not palette or len(palette) % 3 or len(palette) > 3 << header.depth:
        raise WrongImageError("has no palette, or a wrong one")
    right = {_GREY: [2], _RGB: [6], _PALETTE: range(1, len(palette) // 3 + 1)}
    if len(transparent) not in right.get(header.colour, []):
        kept.pop(b"tRNS", None)


def _check_pixels(header: _Header, compressed: bytes) -> None:
    """Check that compressed data is exactly all rows of the image."""
    rows = [*_rows(header)]
    size = sum(count * length for count, length in rows)
    unpacker = zlib.decompressobj()
    try:
        # Not more than this, whatever the data would become.
        data = unpacker.decompress(compressed, size + 1)
    except zlib.error:
        raise WrongImageError("is damaged: its image data cannot be decompressed") from None
    if len(data) != size or not unpacker.eof or unpacker.unused_data:
        raise WrongImageError("is damaged: its image data has another size")
    place = 0
    for count, length in rows:
        # Each row begins with the number of its filter.
        if max(data[place : place + count * length : length]) > _LAST_FILTER:
            raise WrongImageError("is damaged: a row has an unknown filter")
        place += count * length


def _rows(header: _Header) -> Iterator[tuple[int, int]]:
    """Yield how many rows there are, and how many bytes each has, with its filter."""
    bits = header.depth * _SAMPLES[header.colour]
    for left, top, right, down in _ADAM7 if header.is_interlaced else ((0, 0, 1, 1),):
        width = -(-(header.width - left) // right)
        height = -(-(header.height - top) // down)
        if width > 0 and height > 0:
            yield height, 1 + (width * bits + 7) // 8


def _marker(data: bytes, place: int) -> tuple[int, int]:
    """Return the marker at a place, and the place after it."""
    if data[place : place + 1] not in (b"", b"\xff"):
        raise WrongImageError("is damaged: there is no marker where there must be one")
    while data[place : place + 1] == b"\xff":
        place += 1
    if place >= len(data):
        raise WrongImageError(_TRUNCATED)
    return data[place], place + 1


def _end_of_scan(data: bytes, place: int) -> int:
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            raise WrongImageError(_TRUNCATED)
        if data[place + 1] not in _IN_SCAN:
            return place
        place += 2


def _check_frame(content: bytes, height: int, width: int) -> None:
    if len(content) < 6 or len(content) != 6 + 3 * content[5]:
        raise WrongImageError("has a wrong header")
    depth, found_height, found_width, components = struct.unpack_from(">BHHB", content)
    _refuse_other_size(found_height, found_width, height, width)
    if depth != 8 or components not in _COMPONENTS:
        raise WrongImageError(
            f"has {components} components of {depth} bits, must have 1 or 3 of 8 bits"
        )
