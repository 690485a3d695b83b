"""The model and its progress, mini dataset by mini dataset: planned, trained, saved, exported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tfkafka import config
from tfkafka.chunk import OffsetRange, TopicPartition
from tfkafka.client.reports import OffsetReport
from tfkafka.config import Limits
from tfkafka.decoding.bad_records import Counts
from tfkafka.errors import CheckpointError
from tfkafka.metrics.meter import Meter
from tfkafka.online import model_state
from tfkafka.online.checkpoints import Checkpoint, Series, load, packed, save, unpacked
from tfkafka.online.exports import Exports
from tfkafka.online.history import Evaluate, EvaluateBatches, History, evaluate_with, shown
from tfkafka.online.mini_datasets import MiniDataset, Part, PlanReader, merged
from tfkafka.online.planner import TopicEnds, next_plan
from tfkafka.online.processes import Processes
from tfkafka.online.progress import Progress
from tfkafka.online.sharding import Sharding, refuse_different
from tfkafka.online.stream import Stream
from tfkafka.reading.dead_letters import bad_records_policy
from tfkafka.reading.lag import Lag
from tfkafka.reading.manifest import Manifest, describe_decoder
from tfkafka.reading.ranges import identify
from tfkafka.reading.sharding import part_of

HISTORY = "history.jsonl"


@dataclass(frozen=True)
class Task:
    """What is to be learnt, and how: the arguments of `learn`, checked."""

    folder: Path
    stream: Stream
    build: Callable[[], keras.Model]
    train: Callable[..., None]
    evaluate: Evaluate | EvaluateBatches | None
    seed: int
    keep: int
    exports: Exports
    notify: Callable[[str], None]
    sharding: Sharding | None


class Training:
    """The model and its progress, in each process and in the folder of the first.

    Args:
        task: what is to be learnt.
        processes: those that learn together; all of them call the same methods.
        meter: measures the stages.
    """

    def __init__(self, task: Task, processes: Processes, meter: Meter):
        self._task, self._processes, self._meter = task, processes, meter
        self._stream, self._folder, self._exports = task.stream, task.folder, task.exports
        self._notify = task.notify if processes.is_first else _silent
        self._history = History(self._folder / HISTORY if processes.is_first else None)
        self._states, self._plans = Series(self._folder, "state"), Series(self._folder, "plan")
        self._settings = config.consumer_settings(task.stream.servers, task.stream.configuration)
        self._report = None
        if task.stream.group_id is not None and processes.is_first:
            self._report = OffsetReport(self._settings, task.stream.group_id, task.stream.topic)
        self.progress = Progress(history=self._history.columns)
        # The leaders' epochs of the records before the positions.
        self._epochs: dict[int, int | None] = {}
        self._found: tuple[int, Checkpoint] | None = None
        opened = processes.each(self._open)
        refuse_different([terms for _, terms in opened])
        is_new = not any(is_found for is_found, _ in opened)
        keras.utils.set_random_seed(task.seed)
        self._model = task.build()
        self._model.optimizer.build(self._model.trainable_variables)
        if is_new:
            self._refuse_not_finite("build made", "")
            processes.first(self._save)
        if not is_new or processes.count > 1:
            self._restore_together()
        if not is_new:
            meter.count("restarts")
            state = self._states.path(self.progress.mini_datasets).name
            self._refuse_not_finite(f"{state} has", ": delete it to use the state before")
        if self.progress.mini_datasets and not self._exports.is_judged:
            # The process before may have been killed after it had saved the model.
            processes.first(self._export)

    def _open(self) -> tuple[bool, Mapping[str, object]]:
        """Ask Kafka for the topic, and look into the folder.

        Return whether that has a state, in the first process, and what must not differ.
        """
        stream, limits = self._stream, Limits(broker_timeout=self._stream.broker_timeout)
        bad_records = bad_records_policy(
            stream.on_bad_record,
            stream.dead_letter_topic,
            self._settings,
            limits,
            [stream.topic],
        )
        self._topic = identify(self._settings, limits, stream.topic)
        self._ends = TopicEnds(self._settings, self._topic, stream.broker_timeout, self._meter)
        self._lag = Lag(self._ends.end_offsets, self._next_offsets)
        self._reader = PlanReader(
            stream,
            self._settings,
            self._topic,
            self._ends,
            bad_records,
            self._task.notify,
            self._meter,
        )
        self._begins: dict[int, int] = {}
        if not self._processes.is_first:
            return False, self._terms()
        self._found = self._states.newest(self._notify)
        if self._found is None:
            self._exports.refuse_others()
            self._begins = self._ends.begins()
            self.progress.positions = dict(self._begins)
        self._history.restore(0 if self._found is None else self._found[0])
        return self._found is not None, self._terms()

    def next(self) -> MiniDataset | None:
        """Wait for the next mini dataset, and read this process's part of it; None at the end."""
        with self._meter.stage("wait"):
            rows = self._processes.first(self._plan)
        if rows is None:
            return None
        plan = [OffsetRange(*row) for row in rows]
        self._meter.count("batches")
        part: list[Part] = []

        def read() -> dict[str, Any]:
            part.append(self._read(plan))
            sharding = self._task.sharding
            own = [] if sharding is None else sharding.rows(part[0].records, plan)
            return {"counts": part[0].counts.to_json(), "rows": own}

        found = self._processes.each(read)
        counts = merged(Counts.of(each["counts"]) for each in found)
        return MiniDataset(plan, self._arguments(part[0], [each["rows"] for each in found]), counts)

    def _plan(self) -> list[tuple[Any, ...]] | None:
        """Return the ranges of the next mini dataset; None at the end.

        A plan that was saved before a crash is used again.
        """
        is_stopped = self._processes.is_stopped
        path = self._plans.path(self.progress.mini_datasets + 1)
        if is_stopped():
            return None
        if path.exists():
            try:
                rows: list[tuple[Any, ...]] = load(path).header["ranges"]
                return rows
            except CheckpointError as error:
                self._notify(f"{error}: planned again")
        stream, positions = self._stream, self.progress.positions
        ranges = next_plan(
            self._ends, positions, stream.mini_dataset, stream.stream_timeout, is_stopped
        )
        if ranges is None:
            return None
        rows = [astuple(each) for each in ranges]
        save(path, {"ranges": rows}, {})
        return rows

    def _read(self, plan: list[OffsetRange]) -> Part:
        processes, positions = self._processes, self.progress.positions
        mine = part_of(plan, (processes.index, processes.count))
        epochs = {
            each.source: self._epochs.get(each.partition)
            for each in mine
            if each.start == positions.get(each.partition)
        }
        return self._reader.read(mine, epochs)

    def _arguments(self, part: Part, rows: list[list[int]]) -> tuple[Any, ...]:
        """Return what `train` is called with, after the model.

        Args:
            part: the records of this process.
            rows: their number in each shard of each process.
        """
        sharding = self._task.sharding
        if sharding is None:
            return part.arrays
        most = max(count for each in rows for count in each)
        steps = -(-most // sharding.batch_size)
        seed = [self._task.seed, self.progress.mini_datasets + 1]
        return (sharding.batches(part.arrays, rows[sharding.index], steps, seed),)

    def train_on(self, mini: MiniDataset) -> None:
        """Evaluate on a mini dataset, then train on it; save and export the state.

        A model that must be judged is exported between the two.
        """
        metrics = self._evaluated(mini)
        if metrics and self._exports.is_judged:
            self._processes.first(lambda: self._export_accepted(metrics))
        self._learn(mini, metrics)
        if not self._exports.is_judged:
            self._processes.first(self._export_due)

    def _export_accepted(self, metrics: Mapping[str, float]) -> None:
        number = self.progress.mini_datasets
        if self._exports.is_due() and self._exports.accepts(number, metrics):
            self._export()

    def _export_due(self) -> None:
        if self._exports.is_due():
            self._export()

    def _evaluated(self, mini: MiniDataset) -> dict[str, float]:
        """Return what the model is worth on a mini dataset; {} where that has no records."""
        if not mini.records:
            return {}
        with self._meter.stage("model"):
            own = evaluate_with(self._task.evaluate, self._model, mini.arguments)
        metrics: dict[str, float] = self._processes.first(lambda: own)
        if not metrics and self._exports.is_judged:
            raise ValueError(
                "export_if: the model has no metrics: compile it with a loss, or give evaluate="
            )
        return metrics

    def _learn(self, mini: MiniDataset, metrics: Mapping[str, float]) -> None:
        """Train on a mini dataset, and save the state, and the metrics from before."""
        progress, plan = self.progress, mini.plan
        begun = time.monotonic()
        mixed = np.random.SeedSequence([self._task.seed, progress.mini_datasets + 1])
        keras.utils.set_random_seed(int(mixed.generate_state(1)[0]))
        if mini.records:
            with self._meter.stage("model"):
                self._task.train(self._model, *mini.arguments)
        progress.training_s += time.monotonic() - begun
        last_good = self._states.path(progress.mini_datasets).name
        self._refuse_not_finite(
            f"mini dataset {progress.mini_datasets + 1:,} ({'; '.join(map(str, plan))}) made",
            f": not saved; the last good state is {last_good}. The same call trains on these "
            f"records again: let train clip gradients or lower the learning rate",
        )
        progress.mini_datasets += 1
        progress.records += mini.records
        progress.counts.merge(mini.counts)
        progress.positions |= {each.partition: each.stop for each in plan}
        self._epochs |= {each.partition: each.leader_epoch for each in plan}
        self._processes.each(lambda: self._keep(mini.records, metrics))
        self._meter.count("commits")
        before = f"; before training {shown(metrics)}" if metrics else ""
        bad = mini.counts.of_faults()
        self._notify(
            f"mini dataset {progress.mini_datasets:,}: {mini.records:,} records, "
            f"{progress.records:,} in all{before}{bad and f'; {bad}'}"
        )

    def _keep(self, records: int, metrics: Mapping[str, float]) -> None:
        self._history.add(self.progress.mini_datasets, records, metrics)
        if self._processes.is_first:
            with self._meter.stage("save"):
                self._save()

    def lag(self) -> Mapping[TopicPartition, int] | None:
        """Return how many offsets of each partition are not learnt yet; None: unknown."""
        return self._lag.ask()

    def trouble(self) -> str | None:
        """Return that Kafka does not answer, or None."""
        return self._ends.trouble()

    def _next_offsets(self) -> dict[TopicPartition, int]:
        positions = dict(self.progress.positions)
        return {TopicPartition(self._stream.topic, p): offset for p, offset in positions.items()}

    def end(self) -> None:
        """Export, and notify of bad records; wait for the answer to the last report of progress."""
        self._processes.first(self._end)

    def _end(self) -> None:
        if self._exports.is_judged:
            self._notify(
                f"the model of {self.progress.mini_datasets:,} mini datasets is not exported yet: "
                f"the next one judges it"
            )
        else:
            self._export()
        if summary := self.progress.counts.summary():
            self._notify(f"topic {self._stream.topic}: {summary}")
        refused = self._report and self._report.refusal()
        if refused:
            self._notify(
                f"progress could not be reported to group {self._stream.group_id}: {refused}"
            )

    def _export(self) -> None:
        self._exports.write(self._model, self.progress.mini_datasets, self._manifest())

    def _save(self) -> None:
        begun = time.monotonic()
        progress = self.progress
        save(self._states.path(progress.mini_datasets), self._header(), self._arrays())
        self._states.forget_before(progress.mini_datasets - self._task.keep + 1)
        self._plans.forget_before(min(self._states.numbers()) + 1)
        progress.saving_s += time.monotonic() - begun
        if self._report is not None:
            self._report.send(progress.positions)

    def _refuse_not_finite(self, what: str, advice: str) -> None:
        model_state.refuse_not_finite(self._folder, self._model, what, advice)

    def _restore_together(self) -> None:
        """Continue in each process with the state of the first one."""
        state = self._state_of_first()
        self._processes.each(lambda: self._refuse_another_training(state.header["header"]))
        self._restore(state)
        # It is as large as the model and its optimizer.
        self._found = None

    def _state_of_first(self) -> Checkpoint:
        if self._processes.count == 1:
            return self._own_state()

        def pack() -> bytes:
            state = self._own_state()
            return packed(state.header, state.arrays)

        return unpacked(self._processes.sent(pack), "the state of the first process")

    def _own_state(self) -> Checkpoint:
        number, state = self._found or (0, Checkpoint(self._header(), self._arrays()))
        history = self._history.columns
        header = {"number": number, "header": state.header, "history": history}
        return Checkpoint(header, state.arrays)

    def _refuse_another_training(self, header: Mapping[str, Any]) -> None:
        for name, value in self._identity().items():
            # Earlier states lack what is about shards.
            if (begun := header.get(name)) != value:
                raise CheckpointError(
                    f"{self._folder}: was begun with {name} {begun!s:.60}, and this is "
                    f"{value!s:.60}: give the same, or another folder"
                )
        Manifest.of(header["manifest"]).refuse_another_topic(self._topic)

    def _restore(self, state: Checkpoint) -> None:
        model_state.assign(self._model, state.arrays)
        header, progress = state.header["header"], self.progress
        progress.mini_datasets = state.header["number"]
        progress.records = header["records"]
        progress.positions = dict(map(tuple, header["positions"]))
        self._history.columns.update(state.header["history"])
        manifest = Manifest.of(header["manifest"])
        self._begins = {each.partition: each.start for each in manifest.ranges}
        self._epochs = {each.partition: each.leader_epoch for each in manifest.ranges}
        if manifest.counts is not None:
            progress.counts = Counts(**manifest.counts, reasons=header.get("reasons", {}))

    def _header(self) -> dict[str, Any]:
        progress = self.progress
        return {
            **self._identity(),
            "records": progress.records,
            "positions": list(progress.positions.items()),
            "manifest": self._manifest().to_json(),
            "reasons": progress.counts.reasons,
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return model_state.arrays_of(self._model)

    def _manifest(self) -> Manifest:
        """Return the manifest of the records that the model was trained on so far."""
        topic, begins, epochs = self._topic.topic, self._begins, self._epochs
        return Manifest(
            servers=str(self._settings["bootstrap.servers"]),
            identity=self._topic,
            ranges=tuple(
                OffsetRange(topic, partition, begins.get(partition, 0), stop, epochs.get(partition))
                for partition, stop in self.progress.positions.items()
            ),
            order=None,
            isolation_level=config.isolation_level(self._settings),
            on_bad_record=self._stream.on_bad_record,
            decoder=describe_decoder(self._reader.decode),
            counts=self.progress.counts.numbers(),
        )

    def _identity(self) -> Mapping[str, object]:
        """Return what must not change between runs."""
        return {**self._terms(), "model": model_state.shapes(self._model)}

    def _terms(self) -> Mapping[str, object]:
        """Return what must not change between runs, and is known before there is a model."""
        sharding = self._task.sharding
        return {
            "topic": self._stream.topic,
            "mini_dataset": self._stream.mini_dataset,
            "seed": self._task.seed,
            "shards": None if sharding is None else sharding.shards,
            "batch_size": None if sharding is None else sharding.batch_size,
        }


def _silent(_line: str) -> None:
    """Say nothing: the first process speaks for all."""
