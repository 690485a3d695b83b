"""Fixtures of the tutorial's tests: which reader, and a model trained through it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from reproduction.readers import MODULES
from tests import isolated
from tests.integration.tutorial import steps
from tests.tutorial import FAST_FETCH, SusyTopic, TrainedModel


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`reader`: each module of --reader that offers tensorflow-io's names on this Kafka."""
    if "reader" in metafunc.fixturenames:
        metafunc.parametrize("reader", _readers(metafunc.config), scope="function")


def _readers(config: pytest.Config) -> list[str]:
    chosen = config.getoption("--reader") or list(MODULES)
    # tensorflow-io cannot talk to Kafka 4: test_tfio_defects.py shows it.
    if config.getoption("--kafka-version").startswith("4."):
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
