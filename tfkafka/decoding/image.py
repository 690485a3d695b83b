"""Decoding of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import ArraySpec, Decoded, Fault, among_others
from tfkafka.decoding.image_files import JPEG, PNG, WrongImageError, check_jpeg, plain_png
from tfkafka.decoding.sources import Header, Key, checked_shape
from tfkafka.decoding.targets import WithTargets

_WITH_ALPHA = 4
_CHANNELS = (1, 3, _WITH_ALPHA)
# The most that PNG and JPEG can both have on a side.
_LARGEST_SIDE = 2**16 - 1


@dataclass(frozen=True)
class ImageDecoder(WithTargets):
    """A decoder for values that are PNG or JPEG files of one size.

    The pixels are those of `tf.io.decode_png` and `tf.io.decode_jpeg`, which also convert an image
    with other channels. Of an animated PNG the still image is taken, and of 16 bits the upper 8.

    Args:
        shape: the height, the width and the number of channels: 1 (grey), 3 (red, green, blue) or 4
            (and alpha, which JPEG does not have).
        label: "key" takes the label from the record's key, a number as text; `Key` and `Header`
            have its type; None: no label. One that is not finite is a bad record.
        sample_weight: where the weight of the record is, as for `label`; None: no weight.

    Example:
        image = tf.io.encode_png(tf.zeros((28, 28, 1), tf.uint8)).numpy()
        tfkafka.write("localhost:9092", "images", [image], ["cat"])
        label = tfkafka.Key(classes=["cat", "dog"])
        decode = tfkafka.ImageDecoder((28, 28, 1), label=label)
        dataset = tfkafka.KafkaDataset("images", servers="localhost:9092", decode=decode)
        for image, label in dataset:  # uint8 [28, 28, 1], int64 []
            print(image.shape, label)
    """

    shape: Sequence[int]
    label: Literal["key"] | Key | Header | None = None
    sample_weight: Literal["key"] | Key | Header | None = None

    def __post_init__(self) -> None:
        shape = checked_shape("ImageDecoder: shape", self.shape)
        if len(shape) != 3 or shape[2] not in _CHANNELS or max(shape) > _LARGEST_SIDE:
            raise ValueError(
                f"ImageDecoder: shape is {arguments.shown(self.shape)}, must be (height, width, "
                f"channels): at most {_LARGEST_SIDE} pixels on a side, and 1, 3 or 4 channels"
            )
        object.__setattr__(self, "shape", shape)
        self._check_targets()
        self._refuse_weight_alone()

    @property
    def element_spec(self) -> tuple[ArraySpec, ...]:
        """uint8 [height, width, channels], and the label and the sample weight, [], if any."""
        return (
            ArraySpec(tuple(self.shape), np.dtype(np.uint8)),
            *(source.spec for source in self._targets.values()),
        )

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        # Images are large: they are put where they stay.
        images = np.empty((len(chunk), *self.shape), np.uint8)
        indices: list[int] = []
        wrong = []
        for index, value in enumerate(chunk.values.entries):
            try:
                images[len(indices)] = self._image(value)
            except WrongImageError as error:
                wrong.append(Fault.of(index, str(error)))
            else:
                indices.append(index)
        right, features = np.array(indices, np.int64), images[: len(indices)]
        rest = chunk.select(right) if wrong else chunk
        targets, faults = self._outside(rest, finite=True)
        decoded = Decoded.of((features, *targets.values()), len(rest), faults)
        return among_others(decoded, right, wrong)

    def _image(self, value: bytes | None) -> NDArray[np.uint8]:
        """Return the pixels, [height, width, channels]. Raises WrongImageError."""
        height, width, channels = self.shape
        if value is None:
            raise WrongImageError("is null")
        if value.startswith(PNG):
            file, decode = plain_png(value, height, width), tf.io.decode_png
        elif value.startswith(JPEG):
            file, decode = value, tf.io.decode_jpeg
            check_jpeg(value, height, width)
            if channels == _WITH_ALPHA:
                raise WrongImageError("is JPEG, which has no alpha channel")
        else:
            raise WrongImageError("is neither PNG nor JPEG")
        try:
            image: NDArray[np.uint8] = decode(file, channels).numpy()
        except tf.errors.InvalidArgumentError:
            raise WrongImageError("is damaged: its image data cannot be decoded") from None
        return image
