"""The progress of learning."""

from __future__ import annotations

from dataclasses import dataclass, field

from tfkafka.decoding.bad_records import Counts


@dataclass
class Progress:
    """The progress of learning.

    Attributes:
        mini_datasets: the number of mini datasets trained on so far, by all processes together.
        records: the number of records in them.
        positions: the next offset of each partition.
        counts: the records that were read so far, by all processes together.
        history: for each metric a list with one number for each mini dataset, by all processes
            together: what the model was worth on it before it was trained on it. nan where the
            mini dataset had no records, or the metric did not exist yet.
        training_s, saving_s: seconds that this process spent on training and on saving.

    Example:
        progress = learn("state", stream, build, train, seed=7)  # see learn
        print(progress.records, "records in", progress.mini_datasets, "mini datasets")
    """

    mini_datasets: int = 0
    records: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    history: dict[str, list[float]] = field(default_factory=dict)
    training_s: float = 0.0
    saving_s: float = 0.0
