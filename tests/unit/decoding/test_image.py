"""PNG and JPEG files to arrays."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka.decoding.base import ArraySpec
from tfkafka.decoding.sources import Key

tf = pytest.importorskip("tensorflow")

from tfkafka.decoding.image import ImageDecoder  # noqa: E402

HEIGHT, WIDTH = 10, 14
SEED = np.random.default_rng(5)
PIXELS = SEED.integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)


def png(channels=3, depth=8, of=PIXELS, before=b"", colour=None, interlace=0, raw=None) -> bytes:
    """A PNG file, part by part; `before` are parts before its image data, `raw` replaces that."""
    height, width, _ = of.shape
    if raw is None:
        samples = of[..., :channels].astype(f">u{depth // 8}") * (257 if depth == 16 else 1)
        rows = [b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in samples]
        raw = zlib.compress(b"".join(rows))
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels] if colour is None else colour
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    begin = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header)
    return begin + before + part(b"IDAT", raw) + part(b"IEND")


def part(kind: bytes, content: bytes = b"") -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def jpeg(channels=3, of=PIXELS, **options) -> bytes:
    return tf.io.encode_jpeg(of[..., :channels], **options).numpy()


GREY = part(b"PLTE", bytes(range(48)))
PALETTE = bytes(SEED.integers(0, 256, 3 * 256, np.uint8))
GOOD_PNG, GOOD_JPEG = png(), jpeg()
SMALL = PIXELS[:8, :9]
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04"
FRAME = GOOD_JPEG.index(b"\xff\xc0")
CMYK = b"".join(
    [
        *(GOOD_JPEG[: FRAME + 3], b"\x14", GOOD_JPEG[FRAME + 4 : FRAME + 9], b"\x04"),
        *(GOOD_JPEG[FRAME + 10 : FRAME + 19], b"\x04\x11\x01", GOOD_JPEG[FRAME + 19 :]),
    ]
)
ROW = b"\0" + bytes(3 * WIDTH)
BAD = {
    "null": (None, "is null"),
    "empty": (b"", "is neither PNG nor JPEG"),
    "gif": (GIF, "is neither PNG nor JPEG"),
    "bmp": (b"BM" + bytes(60), "is neither PNG nor JPEG"),
    "text": (b"1,2,3", "is neither PNG nor JPEG"),
    "png size": (png(of=SMALL), "is 9 x 8 pixels, must be 14 x 10"),
    "png turned": (png(of=PIXELS.swapaxes(0, 1)), "is 10 x 14 pixels, must be 14 x 10"),
    "png bomb": (png(of=np.zeros((1, 2**20, 3), np.uint8)), "is 1048576 x 1 pixels"),
    "jpeg size": (jpeg(of=SMALL), "is 9 x 8 pixels, must be 14 x 10"),
    "png cut": (GOOD_PNG[:-1], "is truncated"),
    "png cut in the middle": (GOOD_PNG[: len(GOOD_PNG) // 2], "is truncated"),
    "png only begun": (GOOD_PNG[:8], "is truncated"),
    "png and more": (GOOD_PNG + b"more", "has 4 bytes after its end"),
    "png twice": (GOOD_PNG * 2, f"has {len(GOOD_PNG)} bytes after its end"),
    "png damaged": (GOOD_PNG.replace(b"IDAT\x78", b"IDAT\x79"), "the checksum of its IDAT is wron"),
    "png without header": (GOOD_PNG[:8] + GOOD_PNG[33:], "does not begin with a header"),
    "png depth": (png(depth=8, colour=3), "has no palette, or a wrong one"),
    "png colour": (png(colour=5), "has a wrong header"),
    "png part": (png(before=part(b"ABCD")), "has a part of an unknown kind"),
    "png rows": (png(raw=zlib.compress(ROW * 9)), "its image data has another size"),
    "png many": (png(raw=zlib.compress(bytes(10**7))), "its image data has another size"),
    "png filter": (
        png(raw=zlib.compress(b"\5" + ROW[1:] + ROW * 9)),
        "a row has an unknown filter",
    ),
    "png no zlib": (png(raw=b"no zlib"), "its image data cannot be decompressed"),
    "jpeg cut": (GOOD_JPEG[:-1], "is truncated"),
    "jpeg without end": (GOOD_JPEG[:-2], "is truncated"),
    "jpeg cut in its header": (GOOD_JPEG[:100], "is truncated"),
    "jpeg only begun": (GOOD_JPEG[:3], "is truncated"),
    "jpeg and more": (GOOD_JPEG + b"m", "has 1 bytes after its end"),
    "jpeg arithmetic": (GOOD_JPEG.replace(b"\xff\xc0", b"\xff\xc9"), "of a kind that is not decod"),
    "jpeg cmyk": (CMYK, "has 4 components of 8 bits, must have 1 or 3 of 8 bits"),
    "jpeg without image": (GOOD_JPEG[:2] + b"\xff\xd9", "has no image"),
}


def decode(*values, channels=3, **options):
    return ImageDecoder((HEIGHT, WIDTH, channels), **options).decode(chunk([*values]))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("own", [1, 2, 3, 4])
def test_png_is_equal_bit_by_bit_to_decode_image(own, depth, channels):
    check(png(own, depth), channels)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("transparent", [b"", part(b"tRNS", bytes(range(0, 200, 2)))])
def test_a_palette(transparent, channels):
    check(png(1, colour=3, before=part(b"PLTE", PALETTE) + transparent), channels)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_less_than_8_bits(depth):
    raw = b"".join(
        b"\0" + bytes([n * 23 % 256] * ((WIDTH * depth + 7) // 8)) for n in range(HEIGHT)
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, 0, 0, 0, 0)
    begin = GOOD_PNG[:8] + part(b"IHDR", header)
    check(begin + part(b"IDAT", zlib.compress(raw)) + part(b"IEND"), 3)


@pytest.mark.parametrize(
    "before",
    [
        part(b"tRNS", bytes(6)),
        part(b"tRNS", bytes(7)),
        part(b"tEXt", b"a\0b") + part(b"acTL", struct.pack(">II", 2, 0)),
        GREY,
    ],
)
def test_what_does_not_decide_a_pixel(before):
    check(png(before=before), 3)
    check(png(before=before), 4)


def test_an_interlaced_png():
    rows, passes = [], [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
    for left, top, right, down in [*passes, (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        rows += [b"\0" + row.tobytes() for row in PIXELS[top::down, left::right, :3]]
    file = png(interlace=1, raw=zlib.compress(b"".join(rows)))
    check(file, 3)
    assert (decode(file).arrays[0][0] == PIXELS[..., :3]).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("own", [1, 3])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_jpeg_is_equal_bit_by_bit_to_decode_image(own, channels, options):
    check(jpeg(own, **options), channels)


def check(file: bytes, channels: int) -> None:
    decoded = decode(file, channels=channels)
    assert decoded.faults == ()
    expected = tf.io.decode_image(file, channels, expand_animations=False).numpy()
    [images] = decoded.arrays
    assert images.dtype == np.uint8 and images.shape == (1, HEIGHT, WIDTH, channels)
    assert (images[0] == expected).all()


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_record_is_found_and_the_others_are_decoded(name, place):
    value, reason = BAD[name]
    values = [GOOD_PNG, GOOD_JPEG]
    values.insert(place, value)
    decoded = decode(*values)
    assert [fault.index for fault in decoded.faults] == [place]
    assert reason in decoded.faults[0].reason
    assert len(decoded.arrays[0]) == 2
    assert decoded.kept.tolist() == [index for index in range(3) if index != place]


def test_jpeg_has_no_alpha():
    assert decode(GOOD_JPEG, channels=4).faults[0].reason == "is JPEG, which has no alpha channel"


def test_labels():
    images = ImageDecoder((HEIGHT, WIDTH, 3), Key(classes=["a", "b"]))
    assert images.element_spec == (
        ArraySpec((HEIGHT, WIDTH, 3), np.dtype(np.uint8)),
        ArraySpec((), np.dtype(np.int64)),
    )
    decoded = images.decode(chunk([GOOD_PNG, b"", GOOD_PNG, GOOD_JPEG], [b"b", b"x", b"x", b"a"]))
    assert [(fault.index, fault.kind) for fault in decoded.faults] == [
        (1, "is neither PNG nor JPEG"),
        (2, "label: is none of the classes"),
    ]
    assert decoded.arrays[1].tolist() == [1, 0] and decoded.kept.tolist() == [0, 3]


@pytest.mark.parametrize("values", [[], [b"x"] * 3])
def test_all_of_a_chunk_and_none(values):
    decoded = ImageDecoder((5, 6, 1), "key").decode(chunk(values))
    assert [array.shape for array in decoded.arrays] == [(0, 5, 6, 1), (0,)]
    assert len(decoded.faults) == len(values)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"shape": [5, 6]}, "ImageDecoder: shape is .*, must be .height, width, channels"),
        ({"shape": [5, 6, 2]}, "1, 3 or 4 channels"),
        ({"shape": [2**16, 6, 1]}, "at most 65535 pixels on a side"),
        ({"shape": 5}, "ImageDecoder: shape"),
        ({"shape": [5, 6, 1], "label": "value"}, "ImageDecoder: label"),
        ({"shape": [5, 6, 1], "sample_weight": "key"}, "label is not: give label= too"),
    ],
)
def test_wrong_arguments_are_refused(arguments, line):
    with pytest.raises((ValueError, TypeError), match=line):
        ImageDecoder(**arguments)
