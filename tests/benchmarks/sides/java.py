"""Kafka's own tools in Java: the ceilings of writing and reading. They decode nothing.

Only the seconds that they say they worked count, not Java's start; how much CPU these took, they
do not say.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.meter import Meter, Sample
from tests.benchmarks.sides.writing import into_fresh_topics
from tests.benchmarks.worker import Round

CONSUMER = "org.apache.kafka.tools.ConsumerPerformance"
PRODUCER = "org.apache.kafka.tools.ProducerPerformance"
_SENT = re.compile(r"(\d+) records sent, ([\d.]+) records/sec")
_DEADLINE_S = 500


def find(version: str) -> dict[str, str]:
    """Java and the jars of an embedded Kafka, as arguments of the sides."""
    from tfkafka.testing.brokers import jars
    from tfkafka.testing.brokers.processes import java_executable

    folder: Path = jars.fetch(jars.read_lock(version), progress=False)
    return {"java": java_executable(), "classpath": f"{folder}/*"}


def consumer(servers: str, topic: str, records: int, java: str, classpath: str) -> Round:
    """ConsumerPerformance over the first records of a topic; its own fetch time counts."""
    command = [
        java,
        "-Xmx512M",
        "-cp",
        classpath,
        CONSUMER,
        "--bootstrap-server",
        servers,
        "--topic",
        topic,
        "--messages",
        str(records),
        "--timeout",
        "60000",
    ]

    def once(_number: int) -> Sample:
        text, sample = _run(command)
        # start.time, end.time, data in MB, MB/s, records, records/s, rebalance ms, fetch ms, ...
        fields = text.strip().splitlines()[-1].split(", ")
        assert int(fields[4]) >= records, text
        return _worked(sample, int(fields[7]) / 1000)

    return once


def producer(servers: str, topic: str, values: list[bytes], java: str, classpath: str) -> Round:
    """ProducerPerformance, all acknowledgements, with payloads drawn from these values.

    Each round has a topic of its own.
    """
    folder = tempfile.TemporaryDirectory()
    payloads = Path(folder.name, "payloads")
    payloads.write_bytes(b"\n".join(values))
    command = [
        java,
        "-Xmx512M",
        "-cp",
        classpath,
        PRODUCER,
        "--num-records",
        str(len(values)),
        "--payload-file",
        str(payloads),
        "--throughput",
        "-1",
        "--producer-props",
        f"bootstrap.servers={servers}",
        "acks=all",
    ]

    def once_into(name: str) -> Sample:
        assert folder.name  # keeps the folder as long as the rounds
        text, sample = _run([*command, "--topic", name])
        sent, rate = _SENT.findall(text)[-1]
        assert int(sent) == len(values), text
        return _worked(sample, len(values) / float(rate))

    return into_fresh_topics(servers, f"{topic}-java", once_into)


def _worked(whole: Sample, wall_s: float) -> Sample:
    return dataclasses.replace(whole, wall_s=wall_s, cpu_s=None, span_s=whole.wall_s)


def _run(command: list[str]) -> tuple[str, Sample]:
    meter = Meter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, meter.stop()
