"""Steps 11 to 14: evaluation by a consumer group, its lag, and what "exactly once" means there."""

from collections import Counter

import pytest

from tests import isolated
from tests.integration.tutorial import steps
from tests.tutorial import BATCH_SIZE, SusyTopic, TrainedModel


@pytest.fixture
def where(reader: str, susy_test_topic: SusyTopic, group: str) -> tuple[str, str, str, str]:
    """The first arguments of every step that reads susy-test by group."""
    return reader, susy_test_topic.bootstrap_servers, susy_test_topic.name, group


def test_evaluation_by_group(
    where, trained_model: TrainedModel, susy_test_topic: SusyTopic, admin, reader, observe
):
    sent = susy_test_topic.messages
    evaluation = isolated.run(steps.evaluate, *where, trained_model.path, sent)

    assert evaluation.steps == sent.steps(BATCH_SIZE)
    # Sums of float32 in another order: equal to rounding.
    assert evaluation.metrics == pytest.approx(evaluation.in_memory, abs=1e-5)
    observe("evaluate.steps", evaluation.steps, reader)
    observe("evaluate.loss", evaluation.metrics["loss"], reader)
    observe("evaluate.accuracy", evaluation.metrics["accuracy"], reader)

    ends = admin.end_offsets(susy_test_topic.name)
    assert {row.partition: row.committed for row in evaluation.group} == ends
    observe("group.lag", [row.lag for row in evaluation.group], reader)
    observe("group.offsets", sorted(ends.values(), reverse=True), reader)
    (member,) = evaluation.members
    observe("group.member", member[: len("rdkafka-")], reader)

    # The same group again gets nothing, and Keras then has nothing to report.
    again = isolated.run(steps.evaluate, *where, trained_model.path, sent)
    observe("group.second_read", again.steps, reader)
    assert again.metrics == {}


def test_a_new_group_gets_each_record_once(where, susy_test_topic: SusyTopic):
    sent = susy_test_topic.messages
    values, keys = isolated.run(steps.read_group, *where)
    delivered = Counter(zip(keys, values, strict=True))
    assert delivered == Counter(zip(sent.keys, sent.values, strict=True))


def test_predict_on_nothing_raises(reader: str, kafka, make_topic, group: str, trained_model):
    """Where evaluate gives an empty result, predict fails: a caller has to handle both."""
    predicted = isolated.run(
        steps.predict_group,
        reader,
        kafka.bootstrap_servers,
        make_topic(2),
        group,
        trained_model.path,
    )
    assert isinstance(predicted, Exception), predicted
