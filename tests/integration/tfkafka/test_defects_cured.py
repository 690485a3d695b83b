"""Each defect of tensorflow-io that tests/integration/test_tfio_defects.py shows: here it is not.

The same functions run, with nothing but the reader's module changed.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from tests.integration import tfio_defects, tfio_records
from tests.integration.tfio_defects import numbers_in, see_new_kafka, send
from tests.isolated import ProcessFailed, run

READER = "tfkafka.tfio"


def test_no_window_waits_for_a_long_poll(facts, observe):
    waiting, fast = facts.window_s
    assert (len(waiting), len(fast)) == (8, 8)
    observe("train.window_seconds", median(waiting), READER)


def test_one_record_more_than_full_windows_is_read(facts):
    assert facts.odd_counts == {1: 1, 1025: 1025}


def test_offset_is_where_reading_begins(facts):
    assert facts.from_offset == [*range(8182, 8192)]


def test_start_is_where_reading_begins(facts):
    assert facts.from_start_to_stop == [*range(2000, 2010)]


def test_datasets_of_one_process_read_their_own_topics(facts):
    assert facts.partition_datasets == ([*range(10)], [*range(100, 110)])
    assert facts.first_of_group_dataset == 0


def test_stream_timeout_begins_when_partitions_are_assigned(facts):
    assert sorted(facts.beside_busy_member) in ([*range(10)], [*range(10, 20)])


def test_value_of_a_setting_may_contain_an_equals_sign(facts):
    assert facts.equals_sign == [*range(10)]


def test_dataset_survives_a_new_seed(facts):
    assert facts.reseeded == [*range(10)]


def test_late_records_are_delivered_before_lag_is_zero(kafka, topic, group, observe):
    servers = kafka.bootstrap_servers
    send(servers, topic, range(100))
    late = run(
        tfio_defects.read_with_late_records, READER, servers, topic, group, 100, range(100, 150)
    )
    assert (late.committed, late.lag) == (150, 0)
    assert late.delivered == [*range(150)]
    observe("online.committed_not_trained", late.committed - len(late.delivered), READER)


def test_what_the_model_did_not_see_is_not_committed(kafka, topic, group, tmp_path, observe):
    servers, ledger = kafka.bootstrap_servers, tmp_path / "ledger"
    send(servers, topic, range(100))
    with pytest.raises(ProcessFailed, match="ended with -9"):
        run(tfio_defects.die_after_auto_commit, READER, servers, topic, group, ledger)
    rest = tfio_defects.read_on(servers, topic, group, 100)
    got = {*numbers_in(ledger), *rest}
    observe("group.lost_after_kill", len({*range(100)} - got), READER)
    assert sorted(got) == [*range(100)]


def test_what_was_committed_after_its_use_is_not_delivered_again(kafka, topic, group, tmp_path):
    servers, ledger = kafka.bootstrap_servers, tmp_path / "ledger"
    send(servers, topic, range(100))
    with pytest.raises(ProcessFailed, match="ended with -9"):
        run(see_commit_and_die, servers, topic, group, 60, ledger)
    assert numbers_in(ledger) == [*range(60)]
    assert tfio_defects.read_on(servers, topic, group, 100) == [*range(60, 100)]


def test_kafka_4_is_read(kafka_4):
    seen = see_new_kafka(READER, kafka_4.bootstrap_servers, patience_s=60)
    assert seen.partition == seen.group == seen.other_consumer == [*range(10)]
    assert seen.group_ended


def test_negative_ends_of_slices_count_from_the_end(kafka, topic):
    send(kafka.bootstrap_servers, topic, range(10))
    slices = run(tfio_records.negative_ends, READER, kafka.bootstrap_servers, topic)
    assert slices == ([*range(9)], [*range(7)])


def test_functions_of_records_return_what_is_right():
    found = run(tfio_records.in_one_process, READER)
    assert found == tfio_records.Facts(
        encoded=[4, 4],
        nullable=[b"\x02\x00\x00\xc0\x3f"],
        enum="ValueError",
        text_as_number="InvalidArgumentError",
        fraction="InvalidArgumentError",
        too_large="InvalidArgumentError",
    )


def test_functions_of_records_do_not_end_the_process():
    assert tfio_records.or_exit(tfio_records.truncated, READER) == "InvalidArgumentError"
    assert tfio_records.or_exit(tfio_records.another_dtype, READER) == "TypeError"
    assert tfio_records.or_exit(tfio_records.json_vector, READER) == [1.5, 2.5]


def see_commit_and_die(servers: str, topic: str, group: str, count: int, ledger: Path) -> None:
    """See the first records, commit just these, and end as by kill -9."""
    import os
    import signal

    from tfkafka import KafkaGroupDataset

    dataset = KafkaGroupDataset(
        topic, group, servers, -1, ["auto.offset.reset=earliest"], auto_commit=False
    )
    records = dataset.as_numpy_iterator()
    seen = [next(records)[0] for _ in range(count)]
    dataset.commit(count)
    ledger.write_bytes(b"\n".join(seen))
    os.kill(os.getpid(), signal.SIGKILL)
