"""Defects of tensorflow-io 0.37.1 on a real broker, each asserted as the right behaviour.

A test is expected to fail by DefectObserved alone, which is raised where exactly the described
wrong result was seen. Whatever else happens (a harness that breaks, another number, the right
one) is a failure, so a defect that is fixed one day is heard of. Source files named in reasons
are those of tensorflow/io at its release 0.37.1.
"""

from __future__ import annotations

import re
from statistics import median
from typing import Any

import pytest

from tests.integration import tfio_defects, tfio_records
from tests.integration.tfio_defects import AUTO_COMMIT_S, NewKafka, numbers_in, see_new_kafka, send
from tests.isolated import ProcessFailed, run
from tfkafka.testing.brokers.base import Broker

READER = "tensorflow_io"
KERNEL = "tensorflow_io/core/kernels/kafka_kernels.cc"
DATASET = "tensorflow_io/python/ops/kafka_dataset_ops.py"
SERIALIZATION = "tensorflow_io/core/kernels/serialization_kernels.cc"
WAITED = "each window of 1,024 records waits half a second"

pytest_plugins = ["pytester"]


class DefectObserved(Exception):
    """Exactly the wrong behaviour that is described was seen."""


def defect(reason: str):
    return pytest.mark.xfail(strict=True, raises=DefectObserved, reason=reason)


def judge(observed: Any, *, right: Any, wrong: Any) -> None:
    """Raise DefectObserved for the known wrong result, AssertionError for any but the right one.

    `wrong` is a value, or a pattern for the text of an error.
    """
    known = wrong.search(str(observed)) if isinstance(wrong, re.Pattern) else observed == wrong
    if known:
        raise DefectObserved(f"{observed!r:.300}")
    assert observed == right, "neither right nor the known defect"


def judge_window_seconds(waiting: list[float], fast: list[float]) -> None:
    """Half a second a window against next to nothing; any machine is far from the line between."""
    waits = median(waiting) > 0.25 and median(waiting) > 2 * median(fast)
    judge(WAITED if waits else "reads on", right="reads on", wrong=WAITED)


@pytest.fixture(scope="module")
def new_kafka(kafka_4: Broker) -> NewKafka:
    """What a process sees on a broker of Kafka 4."""
    return see_new_kafka(READER, kafka_4.bootstrap_servers, patience_s=15)


@defect(f"{KERNEL}: each window seeks, and a seek waits for the long poll that is under way")
def test_window_does_not_wait_for_the_long_poll(facts, observe):
    waiting, fast = facts.window_s
    observe("train.window_seconds", median(waiting), READER)
    assert (len(waiting), len(fast)) == (8, 8)
    judge_window_seconds(waiting, fast)


@defect(f"{KERNEL}, Read: a window of one record ends before it begins")
def test_one_record_more_than_full_windows_is_read(facts):
    judge(facts.odd_counts, right={1: 1, 1025: 1025}, wrong={1: 0, 1025: 1024})


@defect("tensorflow_io/python/ops/io_dataset.py: from_kafka swallows unknown arguments")
def test_offset_is_where_reading_begins(facts):
    judge(facts.from_offset, right=[*range(8182, 8192)], wrong=[*range(8192)])


@defect(f"{DATASET}: windows are counted from 0, whatever `start` says")
def test_start_is_where_reading_begins(facts):
    judge(facts.from_start_to_stop, right=[*range(2000, 2010)], wrong=[*range(2010)])


@defect(f"{KERNEL}: TensorFlow caches a kernel, and with it the one consumer of all datasets")
def test_two_partition_datasets_read_their_own_topics(facts):
    few, others = [*range(10)], [*range(100, 110)]
    judge(facts.partition_datasets, right=(few, others), wrong=(others, others))


@defect(f"{KERNEL}: TensorFlow caches a kernel, and with it the one consumer of all groups")
def test_two_group_datasets_read_their_own_topics(facts):
    judge(facts.first_of_group_dataset, right=0, wrong=100)


@defect(f"{KERNEL}: time in which a group rebalances counts as time without records")
def test_stream_timeout_begins_when_partitions_are_assigned(facts):
    shares = [[*range(10)], [*range(10, 20)]]
    got = sorted(facts.beside_busy_member)
    judge(got in shares if got else got, right=True, wrong=[])


@defect(f"{KERNEL}: a setting is split at every '='")
def test_value_of_a_setting_may_contain_an_equals_sign(facts):
    refused = re.compile(
        r"^InvalidArgumentError: .*invalid topic configuration: client\.id=bW9kZWw=", re.DOTALL
    )
    judge(facts.equals_sign, right=[*range(10)], wrong=refused)


@defect("like tensorflow/text#570: a new seed clears the kernel cache, which owns the consumer")
def test_dataset_survives_a_new_seed(facts):
    gone = re.compile(r"^NotFoundError: .*KafkaReadableResource\w* does not exist", re.DOTALL)
    judge(facts.reseeded, right=[*range(10)], wrong=gone)


@defect(f"{KERNEL}: eof_count is never reset, and records that came before a timeout are dropped")
def test_late_records_are_delivered_before_lag_is_zero(kafka, topic, group, observe):
    servers = kafka.bootstrap_servers
    send(servers, topic, range(100))
    late = run(
        tfio_defects.read_with_late_records, READER, servers, topic, group, 100, range(100, 150)
    )
    assert (late.committed, late.lag) == (150, 0)
    observe("online.committed_not_trained", late.committed - len(late.delivered), READER)
    judge(late.delivered, right=[*range(150)], wrong=[*range(100)])


@defect(f"{KERNEL}: librdkafka commits by itself what was fetched, seen or not")
def test_what_the_model_did_not_see_is_not_committed(kafka, topic, group, tmp_path, observe):
    servers, ledger = kafka.bootstrap_servers, tmp_path / "ledger"
    send(servers, topic, range(100))
    with pytest.raises(ProcessFailed, match="ended with -9"):
        run(tfio_defects.die_after_auto_commit, READER, servers, topic, group, ledger)
    seen = numbers_in(ledger)
    assert seen == [0]
    rest = tfio_defects.read_on(servers, topic, group, 100)
    observe("group.lost_after_kill", len({*range(100)} - {*seen, *rest}), READER)
    judge(sorted({*seen, *rest}), right=[*range(100)], wrong=[0])


@defect(f"{KERNEL}: librdkafka commits every {AUTO_COMMIT_S:.0f} s, seen or not")
def test_what_the_model_saw_is_not_delivered_again(kafka, topic, group, tmp_path, observe):
    servers, ledger = kafka.bootstrap_servers, tmp_path / "ledger"
    send(servers, topic, range(100))
    with pytest.raises(ProcessFailed, match="ended with -9"):
        run(tfio_defects.die_before_auto_commit, READER, servers, topic, group, 100, ledger)
    assert numbers_in(ledger) == [*range(100)]
    again = tfio_defects.read_on(servers, topic, group, 100)
    observe("group.twice_after_kill", len(again), READER)
    judge(again, right=[], wrong=[*range(100)])


@defect(
    "confluentinc/librdkafka#4948, KIP-896: librdkafka 1.5.0 asks in a way that Kafka 4 removed"
)
def test_partition_is_read_from_kafka_4(new_kafka):
    refused = re.compile(r"^InternalError: .*Required feature not supported by broker", re.DOTALL)
    judge(new_kafka.partition, right=[*range(10)], wrong=refused)


@defect(
    "confluentinc/librdkafka#4948, KIP-896: librdkafka 1.5.0 asks in a way that Kafka 4 removed"
)
def test_new_group_reads_from_kafka_4(new_kafka):
    """It gets nothing, where another consumer gets all meanwhile; mostly it does not end either."""
    assert new_kafka.other_consumer == [*range(10)]
    judge(new_kafka.group, right=[*range(10)], wrong=[])


@defect("tensorflow_io/python/ops/kafka_io_tensor_ops.py: a negative end is not known")
def test_negative_ends_of_slices_count_from_the_end(kafka, topic):
    send(kafka.bootstrap_servers, topic, range(10))
    slices = run(tfio_records.negative_ends, READER, kafka.bootstrap_servers, topic)
    judge(slices, right=([*range(9)], [*range(7)]), wrong=([*range(10)], "ValueError"))


@pytest.fixture(scope="module")
def record_facts() -> tfio_records.Facts:
    """What one process sees of the functions of Avro and JSON records."""
    return run(tfio_records.in_one_process, READER)


@defect(f"{SERIALIZATION}: the whole buffer is returned, with memory that nobody has written to")
def test_encoded_records_have_nothing_after_them(record_facts):
    judge(record_facts.encoded, right=[4, 4], wrong=[8192, 8192])


@defect(f"{SERIALIZATION}: a union that begins with null is no data type of the encoder")
def test_union_that_begins_with_null_is_encoded(record_facts):
    right = [b"\x02\x00\x00\xc0\x3f"]
    judge(record_facts.nullable, right=right, wrong="InvalidArgumentError")


@defect("tensorflow_io/python/experimental/serialization_ops.py: an assertion without a text")
def test_type_that_cannot_be_decoded_has_a_reason(record_facts):
    judge(record_facts.enum, right="ValueError", wrong="AssertionError")


@defect(f"{SERIALIZATION}: the types of JSON values are not checked")
def test_text_in_json_is_no_number(record_facts):
    judge(record_facts.text_as_number, right="InvalidArgumentError", wrong=120.0)


@defect(f"{SERIALIZATION}: the types of JSON values are not checked")
def test_number_in_json_fits_its_type(record_facts):
    found = (record_facts.fraction, record_facts.too_large)
    wrong = (0, 3_000_000_000 - 2**32)
    judge(found, right=("InvalidArgumentError",) * 2, wrong=wrong)


@defect(f"{SERIALIZATION}: the end of a record is not looked for")
def test_truncated_avro_record_is_an_error():
    found = tfio_records.or_exit(tfio_records.truncated, READER)
    judge(found, right="InvalidArgumentError", wrong=re.compile("^truncated ended with -11"))


@defect(f"{SERIALIZATION}: the types of tensors are not checked")
def test_tensor_of_another_type_is_not_encoded():
    found = tfio_records.or_exit(tfio_records.another_dtype, READER)
    judge(found, right="TypeError", wrong=re.compile("^another_dtype ended with -6"))


@defect(f"{SERIALIZATION}: decode_json takes a vector for a scalar")
def test_several_json_records_are_decoded():
    found = tfio_records.or_exit(tfio_records.json_vector, READER)
    judge(found, right=[1.5, 2.5], wrong=re.compile("^json_vector ended with -6"))


CHILD = """
import os, time

def child(what):
    if what == "raises":
        raise ValueError("not the defect")
    if what == "crashes":
        os.abort()
    if what == "hangs":
        time.sleep(60)
    return what
"""
CASE = """
import pytest
from children import child
from tests.integration.test_tfio_defects import DefectObserved, defect, judge
from tests.isolated import run

@pytest.fixture
def broken_fixture():
    run(child, "raises")

@defect("reason")
def test_case({fixture}):
    judge(run(child, "{what}", deadline_s={deadline_s}), right="right", wrong="wrong")
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wrong", {"xfailed": 1}),
        ("right", {"failed": 1}),
        ("neither", {"failed": 1}),
        ("raises", {"failed": 1}),
        ("crashes", {"failed": 1}),
        ("hangs", {"failed": 1}),
        ("broken_fixture", {"errors": 1}),
    ],
)
def test_only_the_defect_itself_counts_as_expected(pytester: pytest.Pytester, name, expected):
    fixture = name if name == "broken_fixture" else ""
    case = CASE.format(what=name, fixture=fixture, deadline_s=1 if name == "hangs" else 60)
    pytester.makepyfile(children=CHILD, test_case=case)
    pytester.runpytest_inprocess().assert_outcomes(**expected)


@pytest.mark.parametrize(
    ("waiting", "fast", "outcome"),
    [
        ([0.5] * 8, [0.01] * 8, DefectObserved),
        ([0.7] * 8, [0.2] * 8, DefectObserved),
        ([0.3] * 8, [0.2] * 8, None),
        ([0.03] * 8, [0.02] * 8, None),
        ([3.0] * 8, [2.9] * 8, None),
    ],
)
def test_how_window_seconds_are_judged(waiting, fast, outcome):
    if outcome:
        with pytest.raises(outcome):
            judge_window_seconds(waiting, fast)
    else:
        judge_window_seconds(waiting, fast)
