"""Online learning under faults ends with the weights of a run without any, bit by bit."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer

from tests.faults import learner_child
from tests.faults.learner_child import COLUMNS, Options, said
from tests.faults.proxy import Proxy
from tfkafka import Admin, write
from tfkafka.client import reports
from tfkafka.config import FOREVER, Limits
from tfkafka.decoding.bad_records import Counts
from tfkafka.online.checkpoints import Checkpoint, Series
from tfkafka.reading.manifest import Manifest
from tfkafka.reading.ranges import TopicRanges, read
from tfkafka.testing import wait_for

RECORDS = 1_250
MINI_DATASETS = 7  # six of 200, and a rest
PARTITIONS = 2
SAME = "the same weights, bit by bit, as never killed"
DEADLINE_S = 120.0


@dataclass(frozen=True)
class Story:
    """A topic full of records, and how a learner ends that met no fault."""

    options: Options
    end: Checkpoint
    history: str


@pytest.fixture(scope="module")
def story(kafka, admin: Admin, topic_prefix: str, tmp_path_factory):
    """Learnt from once, without a fault."""
    topic = f"{topic_prefix}online-faults"
    admin.create_topic(topic, PARTITIONS)
    fill(kafka.bootstrap_servers, topic, RECORDS)
    options = Options(kafka.bootstrap_servers, topic, tmp_path_factory.mktemp("no-fault"))
    assert learner_child.run(options) == 0, said(options)
    number, end = newest(options)
    assert end.header["records"] == RECORDS and number == MINI_DATASETS
    yield Story(options, end, history(options))
    admin.delete_topic(topic)


@pytest.fixture
def options(story: Story, tmp_path: Path) -> Options:
    return story.options.but(folder=tmp_path)


@pytest.fixture
def make_report(monkeypatch: pytest.MonkeyPatch) -> Callable[..., reports.OffsetReport]:
    """make_report(servers, group, topic) -> OffsetReport that waits long for an answer."""
    monkeypatch.setattr(reports, "REPORT_TIMEOUT_MS", int(1000 * DEADLINE_S))
    return lambda servers, *names: reports.OffsetReport({"bootstrap.servers": servers}, *names)


def fill(servers: str, topic: str, count: int) -> None:
    """Rows whose class is the sign of their sum, in turns in the partitions."""
    rows = np.random.default_rng(3).normal(size=(count, COLUMNS))
    for partition in range(PARTITIONS):
        mine = rows[partition::PARTITIONS]
        values = (",".join(map(repr, row)) for row in mine.tolist())
        keys = (repr(float(row.sum() > 0)) for row in mine)
        write(servers, topic, values, keys, partition=partition)


def transaction(servers: str, topic: str, values: list[str], end: str) -> None:
    """Write rows of class 1 in a transaction, and "commit" or "abort" it."""
    producer = Producer({"bootstrap.servers": servers, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, "1")
    producer.flush(30)
    getattr(producer, f"{end}_transaction")(30)


def states(options: Options) -> Series:
    return Series(options.folder / "learner", "state")


def newest(options: Options) -> tuple[int, Checkpoint]:
    """Number and content of the last state; a damaged one fails the test."""
    found = states(options).newest(pytest.fail)
    assert found is not None
    return found


def history(options: Options) -> str:
    """What each mini dataset said of the model before it was trained on it."""
    return (options.folder / "learner" / "history.jsonl").read_text()


def finish(options: Options, story: Story) -> None:
    """Run once more, to the end: all is as in the story, bit by bit."""
    assert learner_child.run(options) == 0, said(options)
    number, end = newest(options)
    assert number == MINI_DATASETS
    assert end.header == story.end.header
    assert end.arrays.keys() == story.end.arrays.keys()
    for name, array in story.end.arrays.items():
        assert array.tobytes() == end.arrays[name].tobytes(), name
    assert history(options) == story.history


def wait_until_said(options: Options, what: str, process: Process) -> None:
    def is_said() -> bool:
        assert process.is_alive() or what in said(options), said(options)
        return what in said(options)

    wait_for(is_said, f"a learner to say: {what}", DEADLINE_S)


def test_killed_at_each_marked_point(options, story):
    points = [
        ("before plan", 1),
        ("behind plan", 2),
        ("batch", 20),
        ("before rename", 5),
        ("before state", 1),
        # The first renames the history, which has a line without a state; others export.
        ("behind rename", 8),
        ("behind state", 1),
    ]
    reached = []
    for point in points:
        assert learner_child.run(options.but(signal_at=point)) == -signal.SIGKILL
        reached.append(newest(options)[0])
    # A life from state n exports it, makes plan n + 1, trains, saves: so far came each of them.
    assert reached == [0, 1, 2, 2, 2, 4, 5]
    finish(options, story)


@pytest.mark.timeout(1800)
def test_killed_at_random_points(options, story, times, note_fault):
    rng, kills, runs, wanted = random.Random(11), 0, 0, times(2, 50)
    while True:
        run = options.but(folder=options.folder / str(runs))
        while kills < wanted:
            status = learner_child.run(run.but(signal_at=("any", rng.randint(1, 60))))
            if status == 0:
                break
            assert status == -signal.SIGKILL, said(run)
            kills += 1
        finish(run, story)
        runs += 1
        if kills == wanted:
            break
    note_fault("online learner killed -9 at a random point", kills, f"{runs} runs", SAME)


@pytest.mark.timeout(1800)
def test_killed_at_random_times(options, story, times, note_fault):
    if not (wanted := times(0, 20)):
        pytest.skip("make faults-full has it: as test_killed_at_random_points, by the clock")
    rng, kills, runs = random.Random(13), 0, 0
    while kills < wanted:
        run = options.but(folder=options.folder / str(runs))
        alive = True
        while alive and kills < wanted:
            process = learner_child.start(run)
            process.join(rng.uniform(0.2, 5.0))
            alive = process.is_alive()
            process.kill()
            kills += learner_child.end(process) == -signal.SIGKILL
        finish(run, story)
        runs += 1
    note_fault("online learner killed -9 at a random time", kills, f"{runs} runs", SAME)


def test_broker_killed_and_restarted(kafka, options, story):
    pid = kafka.state.kafka.pid
    learner = learner_child.start(options.but(hold_at=3))
    learner_child.wait_until_held(options)
    kafka.kill()
    try:
        learner_child.let_go(options)
        wait_until_said(options, "mini dataset 3", learner)
        # Now it wants to plan the fourth, and nobody answers.
    finally:
        kafka.restart()
    assert kafka.state.kafka.pid != pid
    assert learner_child.end(learner) == 0, said(options)
    finish(options, story)


def test_sigterm_finishes_the_mini_dataset(kafka, options, story, group, make_report):
    stopped = options.but(group=group, signal_at=("batch", 20), signal=signal.SIGTERM)
    assert learner_child.run(stopped) == 0, said(options)
    number, state = newest(options)
    assert number == 2
    rows = Admin(kafka.bootstrap_servers).describe_group(group)
    assert [[row.partition, row.committed] for row in rows] == state.header["positions"]
    assert all(row.consumer_id is None for row in rows)
    # What the group says is for people: nobody goes by it.
    report = make_report(kafka.bootstrap_servers, group, options.topic)
    report.send({0: 1, 1: 2})
    assert report.refusal() is None
    finish(options, story)


def test_the_newest_progress_follows_a_report_that_is_under_way(kafka, topic, group, make_report):
    proxy = Proxy(kafka.bootstrap_servers)
    report = make_report(proxy.bootstrap_servers, group, topic)
    proxy.hold(topic.encode())
    report.send({0: 1})
    wait_for(proxy.is_holding.is_set, "the answer to the first report", DEADLINE_S)
    report.send({0: 2})
    report.send({0: 3})
    proxy.release()
    assert report.refusal() is None
    [row] = Admin(kafka.bootstrap_servers).describe_group(group)
    assert row.committed == 3
    proxy.close()


def test_a_plan_holds_though_the_topic_has_grown_and_for_ever_means_until_sigterm(
    kafka, make_topic, tmp_path
):
    servers, topic = kafka.bootstrap_servers, make_topic(PARTITIONS)
    fill(servers, topic, 250)
    options = Options(servers, topic, tmp_path, stream_timeout=FOREVER)
    assert learner_child.run(options.but(signal_at=("behind plan", 2))) == -signal.SIGKILL
    fill(servers, topic, 100)
    learner = learner_child.start(options)
    wait_until_said(options, "350 in all", learner)
    fill(servers, topic, 50)
    wait_until_said(options, "400 in all", learner)
    learner.terminate()
    assert learner_child.end(learner) == 0, said(options)
    sizes = re.findall(r"^mini dataset \d: (\d+) records", said(options), re.MULTILINE)
    assert sizes[:2] == ["200", "50"] and sum(map(int, sizes)) == 400
    assert newest(options)[1].header["records"] == 400


def test_a_model_that_was_saved_and_not_exported_does_not_wait_for_records(
    kafka, make_topic, tmp_path
):
    servers, topic = kafka.bootstrap_servers, make_topic(PARTITIONS)
    fill(servers, topic, 200)
    options = Options(servers, topic, tmp_path, stream_timeout=FOREVER)
    assert learner_child.run(options.but(signal_at=("behind state", 2))) == -signal.SIGKILL
    model = tmp_path / "learner" / "model.keras"
    assert newest(options)[0] == 1 and not model.exists()
    learner = learner_child.start(options)
    wait_for(model.exists, "the model", DEADLINE_S)
    learner.terminate()
    assert learner_child.end(learner) == 0, said(options)
    assert newest(options)[0] == 1


def test_aborted_records_are_not_learnt_and_a_bad_one_is_named(kafka, topic, tmp_path):
    servers = kafka.bootstrap_servers
    for value, count, end in (
        ("1,2,3,4", 30, "commit"),
        ("5,6,7,8", 20, "abort"),
        ("9", 1, "commit"),
    ):
        transaction(servers, topic, [value] * count, end)
    options = Options(servers, topic, tmp_path, mini_dataset=31)
    assert learner_child.run(options) == 1
    first, *_, last = said(options).splitlines()
    assert first.startswith("mini dataset 1: 30 records, 30 in all; before training loss ")
    assert last == (f"error: topic {topic}, partition 0, offset 52: has 1 columns instead of 4")
    assert newest(options)[1].header["records"] == 30


def test_a_damaged_state_is_noticed_and_the_one_before_used(options, story):
    stopped = options.but(signal_at=("before plan", 5))
    assert learner_child.run(stopped) == -signal.SIGKILL
    assert states(options).numbers() == [2, 3, 4]
    damage(states(options).path(4))
    finish(options, story)
    assert "state-0000000004.ckpt: is damaged" in said(options)
    assert said(options).count("mini dataset 4: ") == 2


def damage(path: Path) -> None:
    """Change one bit, as a failing disk may."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_full_disk_is_one_line_and_costs_nothing(options, story):
    assert learner_child.run(options.but(full_from=3)) == 1
    *_, line = said(options).splitlines()
    assert line.startswith("error: ") and "state-0000000003.ckpt: cannot be written" in line
    assert "what was saved before is valid" in line
    assert newest(options)[0] == 2
    assert not list((options.folder / "learner").glob(".new-*"))
    finish(options, story)


def test_another_training_is_refused(story):
    assert learner_child.run(story.options.but(mini_dataset=100)) == 1
    *_, line = said(story.options).splitlines()
    assert line.startswith("error: ")
    assert "was begun with mini_dataset 200, and this is 100: give the same, or another" in line


def test_the_model_can_be_loaded_at_any_time(options, story):
    learner = learner_child.start(options.but(export_s=0.0, hold_at=2))
    learner_child.wait_until_held(options)
    reader, done = learner_child.start_reader(options.folder / "learner" / "model.keras")
    learner_child.let_go(options)
    assert learner_child.end(learner) == 0, said(options)
    done.set()
    assert learner_child.end(reader) == 0
    manifest = Manifest.of(options.folder / "learner" / "model.manifest.json")
    settings = {"bootstrap.servers": options.servers}
    chosen = TopicRanges(manifest.identity, manifest.ranges)
    assert sum(map(len, read(chosen, settings, Limits()))) == RECORDS
    assert manifest.counts == Counts(read=RECORDS, used=RECORDS).numbers()


def test_a_topic_that_was_created_again_is_not_gone_on_with(kafka, admin, topic, tmp_path):
    servers = kafka.bootstrap_servers
    transaction(servers, topic, ["1,2,3,4"] * 10, "commit")
    options = Options(servers, topic, tmp_path)
    assert learner_child.run(options) == 0, said(options)
    admin.delete_topic(topic)
    admin.create_topic(topic)
    transaction(servers, topic, ["1,2,3,4"] * 20, "commit")
    assert learner_child.run(options) == 1
    *_, line = said(options).splitlines()
    assert line.startswith(f"error: topic {topic} on {servers}: the topic is not the one in")
    assert newest(options)[1].header["records"] == 10
