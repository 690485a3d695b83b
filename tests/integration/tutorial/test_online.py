"""Steps 15 to 17: online training on mini datasets, and records that come late."""

import shutil

import pytest

from tests import isolated
from tests.integration.tutorial import steps
from tests.tutorial import (
    MINI_DATASET_ROWS,
    ONLINE_BATCH_SIZE,
    ONLINE_EPOCHS,
    Messages,
    SusyTopic,
    TrainedModel,
    write,
)

# With tensorflow-io's own 10,000 ms, records that come while it waits are lost.
SHORT_POLL = {"message_poll_timeout": 1000}


@pytest.fixture
def model(trained_model: TrainedModel, tmp_path):
    """A copy of the session's model, to train further."""
    return shutil.copy(trained_model.path, tmp_path / "online.keras")


def test_mini_datasets(reader: str, susy_train_topic: SusyTopic, group, model, observe):
    topic = susy_train_topic
    done = isolated.run(
        steps.train_online, reader, topic.bootstrap_servers, topic.name, group, model
    )
    full, rest = divmod(len(topic.messages), MINI_DATASET_ROWS)
    expected = [MINI_DATASET_ROWS] * full + ([rest] if rest else [])
    trained = [rows for rows in done.rows if rows]
    assert trained == expected
    # An empty rest may come last; it must not reach fit.
    assert done.rows in (trained, [*trained, 0])
    assert done.steps == [-(-rows // ONLINE_BATCH_SIZE) for rows in expected]
    for history in done.histories:
        assert len(history["accuracy"]) == ONLINE_EPOCHS
    accuracies = [accuracy for h in done.histories for accuracy in h["accuracy"]]
    observe("online.mini_datasets", trained, reader)
    observe("online.steps", done.steps[0], reader)
    observe("online.accuracy", [min(accuracies), max(accuracies)], reader)


def test_late_records_resume_the_training(
    reader: str, kafka, make_topic, group, model, susy_train_topic: SusyTopic
):
    servers, topic = kafka.bootstrap_servers, make_topic()
    frame = susy_train_topic.messages.frame
    early, late = Messages(frame[:1000]), Messages(frame[1000:1500])
    assert write(servers, topic, early) == len(early)
    done = isolated.run(
        steps.train_online, reader, servers, topic, group, model, late, **SHORT_POLL
    )
    assert [rows for rows in done.rows if rows] == [len(early), len(late)]
