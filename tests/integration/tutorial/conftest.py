"""Fixtures of the tutorial's tests: which reader, and a model trained through it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from tests import isolated
from tests.integration.tutorial import steps
from tests.tutorial import FAST_FETCH, SusyTopic, TrainedModel

READERS = ["tensorflow_io"]


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> str:
    """The module that offers tensorflow-io's names."""
    return request.param


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
