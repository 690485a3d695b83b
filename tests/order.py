"""pytest: the order of tests, and with pytest-xdist which of them go to the same worker."""

from __future__ import annotations

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# What takes long goes first, so that all workers end at about the same time.
FOLDERS = [
    "tests/integration/tutorial",
    "tests/integration/test_scripts",
    "tests/integration/test_broker",
    "tests/integration/test_tfio_defects.py",
    "tests/integration/test_secured_brokers.py",
    "tests/integration/tfkafka/test_documentation.py",
    "tests/integration/tfkafka/test_identity.py",
    "tests/integration/tfkafka/test_reasons.py",
    "tests/faults",
    "tests/integration",
    "tests/benchmarks",
    "tests/unit",
]
TUTORIAL = ["topics", "write", "training_dataset", "training", "evaluation", "online"]
# Their tests share what is dear to make: a broker, a trained model, a run of all scripts.
KEPT_TOGETHER = (
    "tests/benchmarks",
    "tests/integration/test_broker_clusters.py",
    "tests/integration/test_brokers.py",
    "tests/integration/test_class_archive.py",
    "tests/integration/test_command_config.py",
    "tests/integration/test_compose.py",
    "tests/integration/test_compose_profiles.py",
    "tests/integration/test_scripts.py",
    "tests/integration/test_scripts_bad_input.py",
    "tests/integration/test_secured_brokers.py",
    "tests/integration/test_tfio_defects.py",
    "tests/integration/tfkafka/test_defects_cured.py",
    "tests/integration/tfkafka/test_group_protocols.py",
    "tests/integration/tfkafka/test_identity.py",
    "tests/integration/tfkafka/test_reasons.py",
    "tests/integration/tfkafka/test_rights.py",
    "tests/integration/tfkafka/test_security_matrix.py",
    "tests/unit",
)
# A stack and a reader, in the parameters of the tutorial's tests.
LABEL = re.compile(r"\[(.+-(tensorflow_io|tfkafka\.tfio))")


class Scheduler(LoadScopeScheduling):
    """Gives out tests in their order, those of a scope to one worker.

    pytest-xdist 3.8 has the mark xdist_group for that, which pytest 9.2 makes ineffective.
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """What goes to one worker: a reader on a stack, a file, or a single test."""
    file, _, test = nodeid.partition("::")
    if file.startswith("tests/integration/tutorial") and (label := LABEL.search(test)):
        return label[1]
    return file if file.startswith(KEPT_TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler | None:
    """Take over --dist loadscope."""
    if config.getoption("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False
    return Scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by FOLDERS; the tutorial's tests go step by step, one stack and reader after another.

    Otherwise the order remains: pytest-randomly's.
    """
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple:
    places = (place for place, name in enumerate(FOLDERS) if item.nodeid.startswith(name))
    folder = next(places, len(FOLDERS))
    if folder > 0 or "stack" not in item.fixturenames:
        return (folder,)
    step = TUTORIAL.index(item.path.stem.removeprefix("test_"))
    return (folder, -item.callspec.params["stack"].rows, scope_of(item.nodeid), step)
