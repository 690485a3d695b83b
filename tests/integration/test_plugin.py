"""The pytest plugin in projects that are not ours, loaded by its entry point."""

from __future__ import annotations

import re

import pytest

from tests.integration.broker_child import java_of
from tests.integration.foreign import counts
from tfkafka.testing import wait_for

FOREIGN = """
import sys
import pytest

@pytest.fixture
def admin():
    return "their admin"

@pytest.fixture
def topic(request):
    return request.config.getoption("--kafka")
"""
FOREIGN_OPTION = """
import sys

def pytest_addoption(parser):
    parser.addoption("--kafka", default="their option")

def pytest_unconfigure():
    names = {name.partition(".")[0] for name in sys.modules}
    print("imported:", sorted(names & {"tensorflow", "confluent_kafka", "numpy", "psutil"}))
    print("plugin:", "tfkafka.testing.plugin" in sys.modules)
"""


def test_names_of_others_stay_theirs_and_nothing_is_imported(project):
    project.pytester.makeconftest(FOREIGN_OPTION)
    project.pytester.makepyfile(
        FOREIGN + "def test_theirs(admin, topic):\n"
        "    assert (admin, topic) == ('their admin', 'their option')\n"
        "    assert not {'numpy', 'confluent_kafka'} & set(sys.modules)\n"
    )
    for options in (["--collect-only"], ["-p", "tfkafka.testing.plugin"]):
        printed = project.run("-s", *options)
        assert "imported: []" in printed and "plugin: True" in printed
        assert "1 test collected" in printed or "1 passed" in printed


def test_all_names_begin_with_kafka(project):
    fixtures = re.findall(
        r"^(\w+)(?: \[.*\])? -- \S*tfkafka/testing/plugin", project.run("--fixtures"), re.MULTILINE
    )
    assert len(fixtures) == 14
    assert all(name.startswith("kafka_") for name in fixtures)
    [options] = re.findall(r"^Kafka, by tfkafka:\n((?:  .*\n)+)", project.run("--help"), re.M)
    assert set(re.findall(r"^  (--\S+?)[= \n]", options, re.MULTILINE)) == {
        "--kafka-version",
        "--kafka-per-worker",
        "--kafka-observations",
    }


def test_a_broker_topics_and_deliveries_without_a_conftest(project):
    project.pytester.makepyfile("""
        import pytest
        import tfkafka

        def test_all_arrives(kafka_broker, kafka_topic, kafka_deliveries):
            assert kafka_broker.version == "3.9.2"
            assert kafka_topic.startswith("test_all_arrives-")
            kafka_deliveries.sent(kafka_topic, ["a", "b", "b"])
            assert tfkafka.write(kafka_broker.bootstrap_servers, kafka_topic, ["a", "b", "b"]) == 3
            for values, _ in tfkafka.read(kafka_topic, servers=kafka_broker.bootstrap_servers):
                kafka_deliveries.delivered(kafka_topic, values)

        def test_of_a_loss(kafka_deliveries):
            kafka_deliveries.sent("t", ["a", "b", "c"])
            kafka_deliveries.delivered("t", ["a", "a", b"x"])

        def test_of_two_partitions(kafka_make_topic, kafka_admin):
            assert len(kafka_admin.describe_topic(kafka_make_topic(2)).partitions) == 2

        @pytest.mark.parametrize("way", ["a b", "c"])
        def test_that_fails(kafka_broker, kafka_topic, kafka_group, way):
            assert kafka_topic != kafka_group
            # Once it is acknowledged, Kafka has logged the topic.
            tfkafka.write(kafka_broker.bootstrap_servers, kafka_topic, ["x"])
            assert not kafka_topic

        def test_topics_are_deleted(kafka_admin, tmp_path_factory):
            assert kafka_admin.topics() == []
            # One broker, and no schema registry, which nothing uses.
            folders = [each.name for each in tmp_path_factory.getbasetemp().iterdir()]
            assert "kafka0" in folders and "registry0" not in folders
    """)
    printed = project.run("--kafka-version", "3.9.2")
    assert counts(printed) == {"passed": 3, "failed": 3}
    assert "kafka_deliveries: of 3 records that were sent:" in printed
    assert "deliveries.py" not in printed and "During handling" not in printed
    assert "2 lost: b'b' (t), b'c' (t)" in printed
    assert "1 delivered twice or more: b'a' (t)" in printed
    assert "1 never sent: b'x' (t)" in printed
    assert printed.count("- Kafka's log at 127.0.0.1:") == 2
    # What was logged while the test ran, and nothing of what was before.
    first, _, second = printed.partition("_ test_that_fails[c] _")
    log = first.partition("- Kafka's log at 127.0.0.1:")[2]
    assert "Created log for partition test_that_fails-a-b" in log
    assert "Created log for partition test_of_two_partitions-" not in log
    assert "Created log for partition test_that_fails-c" in second


def test_deliveries_are_judged_however_a_test_has_them(project):
    project.pytester.makepyfile("""
        import pytest
        from tfkafka.testing.deliveries import Deliveries

        def lose(deliveries):
            deliveries.sent("t", ["a"])

        @pytest.fixture
        def losing(kafka_deliveries):
            return lambda: lose(kafka_deliveries)

        def test_by_name(request):
            lose(request.getfixturevalue("kafka_deliveries"))

        def test_through_a_fixture(losing):
            losing()

        def test_its_own():
            with Deliveries() as deliveries:
                lose(deliveries)

        def test_that_fails_before(request):
            lose(request.getfixturevalue("kafka_deliveries"))
            raise ValueError("its own error")

        def test_that_judged(request):
            deliveries = request.getfixturevalue("kafka_deliveries")
            lose(deliveries)
            deliveries.check("lost")
    """)
    printed = project.run()
    assert counts(printed) == {"passed": 1, "failed": 4}
    assert printed.count("\nkafka_deliveries: of 1 records that were sent:\n1 lost: b'a' (t)") == 2
    assert "AssertionError: of 1 records that were sent:" in printed
    assert "ValueError: its own error" in printed
    assert "deliveries.py:" not in printed and "During handling" not in printed


WHO = """
    import os
    import pytest

    @pytest.mark.parametrize("number", range(8))
    def test_where(kafka_broker, kafka_topic, number):
        with open("found", "a") as file:
            worker = os.environ.get("PYTEST_XDIST_WORKER")
            print(worker, kafka_broker.bootstrap_servers, file=file)
"""


@pytest.mark.parametrize(("options", "brokers"), [([], 1), (["--kafka-per-worker"], 2)])
def test_workers_share_a_broker_or_have_their_own(project, tmp_path, options, brokers):
    disturbing = """
    def test_disturbing_it(kafka_broker):
        with pytest.raises(Exception, match="cannot be killed: use kafka_cluster, or run pytest"):
            kafka_broker.kill()
        assert "started (kafka.server" in kafka_broker.logs()
    """
    project.pytester.makepyfile(WHO + (disturbing if brokers == 1 else ""))
    printed = project.run("-n", "2", "--kafka-version", "3.9.2", *options)
    assert counts(printed) == {"passed": 9 if brokers == 1 else 8}
    found = [line.split() for line in (project.path / "found").read_text().splitlines()]
    assert {worker for worker, _ in found} == {"gw0", "gw1"}
    assert len({address for _, address in found}) == brokers
    assert java_of(tmp_path) == java_of(project.path) == []
    assert not list(tmp_path.glob("tfkafka-*"))


def test_a_broker_that_workers_share_ends_with_a_killed_controller(project, tmp_path):
    project.pytester.makepyfile(
        "import time, pathlib\n"
        "def test_long(kafka_broker):\n    pathlib.Path('up').touch(); time.sleep(100)\n"
    )
    running = project.start("-n", "1", "--kafka-version", "3.9.2")
    wait_for((project.path / "up").exists, "a test with a broker", 60)
    assert len(java_of(tmp_path)) == 1
    running.kill()
    wait_for(lambda: not java_of(tmp_path), "the broker to end", 10)
    running.communicate()


def test_every_fixture_is_overridden_in_a_line(project):
    project.pytester.makeconftest("""
        import pytest

        kafka_version = pytest.fixture(lambda: "no version", scope="session")
        kafka_prefix = pytest.fixture(lambda: "ours-", scope="session")
        kafka_admin = pytest.fixture(lambda: Topics(), scope="session")

        class Topics(list):
            topics = lambda self: list(self)
            delete_topic = list.remove
            create_topic = lambda self, name, *_, **__: self.append(name)
    """)
    project.pytester.makepyfile("""
        def test_ours(kafka_topic, kafka_group, kafka_admin):
            assert kafka_topic.startswith("ours-test_ours-") and kafka_group.startswith("ours-")
            assert kafka_admin == [kafka_topic]

        def test_a_version_that_is_none(kafka_broker):
            pass
    """)
    printed = project.run()
    assert counts(printed) == {"passed": 1, "error": 1}
    assert "kafka_broker: no lock file for Kafka no version; there are 2.7.2, 3.9.2" in printed
    assert "Traceback" not in printed and "embedded.py" not in printed


def test_what_is_wrong_is_said_in_one_line(project):
    project.pytester.makeconftest("""
        from tfkafka.testing.brokers import packages
        packages.NAMES = ("psutil", "no_such_package")
    """)
    project.pytester.makepyfile("def test_it(kafka_broker):\n    pass\n")
    printed = project.run()
    assert (
        "kafka_broker: this needs no_such_package, not installed: pip install 'tfkafka[testing]'"
    ) in printed
    refused = project.pytester.runpytest_subprocess("--kafka-version", "1.0")
    refused.stderr.fnmatch_lines(
        "ERROR: --kafka-version 1.0: must be one of 2.7.2, 3.9.2, 4.0.2, 4.1.2, 4.2.2, 4.3.1, 4.4.0"
    )
