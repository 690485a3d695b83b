"""Fixtures of the tutorial's tests: stack, reader, and a model trained through it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from reproduction.readers import MODULES
from tests import isolated, stacks
from tests.integration.tutorial import steps
from tests.stacks import Stack
from tests.tutorial import FAST_FETCH, SusyTopic, TrainedModel


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize with each stack, and each reader on it where a test has one.

    pytest-xdist keeps what has the same label in one worker (tests/order.py): it shares a broker,
    topics and a model. Tests without a reader go with the first.
    """
    if "stack" not in metafunc.fixturenames:
        return
    names = ["stack", "reader"] if "reader" in metafunc.fixturenames else ["stack"]
    cases = []
    for stack in stacks.chosen(metafunc.config):
        readers = _readers(metafunc.config, stack)
        for reader in readers if "reader" in names else readers[:1] or [""]:
            values = [stack, reader][: len(names)]
            cases.append(pytest.param(*values, id=f"{stack.name}-{reader}"))
    metafunc.parametrize(names, cases, indirect=["stack"], scope="session")


def _readers(config: pytest.Config, stack: Stack) -> list[str]:
    """Modules that offer tensorflow-io's names on this stack."""
    chosen = config.getoption("--reader") or list(MODULES)
    # tensorflow-io cannot talk to Kafka 4: test_tfio_defects.py shows it.
    if stack.version.startswith("4."):
        chosen = [name for name in chosen if name != "tfio"]
    return [MODULES[name] for name in chosen]


@pytest.fixture(scope="session")
def train(
    susy_train_topic: SusyTopic, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], TrainedModel]:
    """Trains through a reader, once a session for each."""
    folder = tmp_path_factory.mktemp("models")

    @cache
    def train_through(reader: str) -> TrainedModel:
        path = folder / f"{reader}.keras"
        topic = susy_train_topic
        return isolated.run(
            steps.train, reader, topic.bootstrap_servers, topic.name, FAST_FETCH, path
        )

    return train_through


@pytest.fixture
def trained_model(train: Callable[[str], TrainedModel], reader: str) -> TrainedModel:
    """The tutorial's model after ten epochs on susy-train."""
    return train(reader)
