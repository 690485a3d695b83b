"""What many cores and a GPU are for: several parsing threads, and an epoch in large batches.

Nothing here needs TensorFlow: Keras has the backend that KERAS_BACKEND names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks.meter import measured
from tests.benchmarks.sides import reading
from tests.benchmarks.threads import with_process
from tests.benchmarks.worker import Round

if TYPE_CHECKING:
    import keras

SEED = 1


def decoded(
    servers: str, topic: str, records: int, threads: int | None = None, broker: int | None = None
) -> Round:
    """tfkafka's chunks as NumPy arrays, parsed in so many threads; None: as tfkafka chooses.

    `broker`: the number of a process whose CPU seconds are shown, too.
    """
    from tfkafka import CsvDecoder, read

    _parse_in(threads)
    decode = CsvDecoder(reading.COLUMNS, label="key")

    def work() -> None:
        with read(topic, servers=servers, decode=decode) as chunks:
            count = sum(len(labels) for _, labels in chunks)
        assert count == records, f"{count} of {records} records"

    rounds = _warm(work)
    return rounds if broker is None else with_process(rounds, broker)


def from_memory(
    values: list[bytes], keys: list[bytes], records: int, threads: int | None = None
) -> Round:
    """Parsing alone, in so many threads."""
    _parse_in(threads)
    rounds = reading.from_memory(values, keys, records)
    rounds(0)
    return rounds


def epoch(
    servers: str, topic: str, records: int, batch_size: int, steps_per_execution: int
) -> Round:
    """An epoch over batches that tfkafka reads and decodes."""
    from tfkafka import CsvDecoder, read

    decode = CsvDecoder(reading.COLUMNS, label="key")

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        with read(topic, servers=servers, decode=decode, batch_size=batch_size) as found:
            yield from found

    return _epochs_of(batches, _model(steps_per_execution), -(-records // batch_size))


def epoch_of_batches(
    features: np.ndarray,
    labels: np.ndarray,
    records: int,
    batch_size: int,
    steps_per_execution: int,
) -> Round:
    """The same, over batches that are cut out of arrays in memory."""
    features, labels = _repeated(features, records), _repeated(labels, records)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, records, batch_size):
            yield features[start : start + batch_size], labels[start : start + batch_size]

    return _epochs_of(batches, _model(steps_per_execution), -(-records // batch_size))


def epoch_of_arrays(
    features: np.ndarray,
    labels: np.ndarray,
    records: int,
    batch_size: int,
    steps_per_execution: int,
) -> Round:
    """An epoch over arrays in memory, of which Keras takes batches."""
    features, labels = _repeated(features, records), _repeated(labels, records)
    model = _model(steps_per_execution)
    return _warm(
        lambda: model.fit(features, labels, batch_size=batch_size, shuffle=False, verbose=0)
    )


def _parse_in(threads: int | None) -> None:
    if threads is not None:
        from tfkafka.decoding import parsing_threads

        parsing_threads._threads = lambda: threads


def _model(steps_per_execution: int) -> keras.Model:
    import keras

    from reproduction.susy.model import build_model

    keras.utils.set_random_seed(SEED)
    model = build_model()
    model.compile("adam", model.loss, metrics=["accuracy"], steps_per_execution=steps_per_execution)
    return model


def _epochs_of(batches: Callable[[], Iterator[Any]], model: keras.Model, steps: int) -> Round:
    """Epochs over what a generator yields, which Keras cannot shuffle."""
    return _warm(lambda: model.fit(batches(), steps_per_epoch=steps, shuffle=False, verbose=0))


def _warm(work: Callable[[], object]) -> Round:
    """The first time is no round: then a model is compiled, and the broker's Java compiles."""
    work()
    return lambda _number: measured(work)


def _repeated(rows: np.ndarray, records: int) -> np.ndarray:
    return np.resize(rows, (records, *rows.shape[1:]))
