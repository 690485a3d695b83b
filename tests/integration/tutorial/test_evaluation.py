"""Steps 11 to 14: evaluation by a consumer group, its lag, and what "exactly once" means there."""

from collections import Counter

import pytest

from reproduction.claims import FULL_ROWS, read_claims
from tests import isolated
from tests.integration.tutorial import steps
from tests.tutorial import BATCH_SIZE, SusyTopic, TrainedModel

CLAIMS = {claim.id: claim for claim in read_claims()}


@pytest.fixture
def where(reader: str, susy_test_topic: SusyTopic, group: str) -> tuple[str, str, str, str]:
    """The first arguments of every step that reads susy-test by group."""
    return reader, susy_test_topic.bootstrap_servers, susy_test_topic.name, group


def test_evaluation_by_group(
    where, trained_model: TrainedModel, susy_test_topic: SusyTopic, admin, group, pytestconfig
):
    sent = susy_test_topic.messages
    evaluation = isolated.run(steps.evaluate, *where, trained_model.path, sent)

    assert evaluation.steps == sent.steps(BATCH_SIZE)
    # Sums of float32 in another order: equal to rounding.
    assert evaluation.metrics == pytest.approx(evaluation.in_memory, abs=1e-5)
    if pytestconfig.getoption("--susy-rows") == FULL_ROWS:
        for figure in ("loss", "accuracy"):
            assert CLAIMS[f"evaluate.{figure}"].accepts(evaluation.metrics[figure])

    ends = admin.end_offsets(susy_test_topic.name)
    assert {row.partition: row.committed for row in evaluation.group} == ends
    assert [row.lag for row in evaluation.group] == CLAIMS["group.lag"].tutorial
    (member,) = evaluation.members
    assert member.startswith(CLAIMS["group.member"].tutorial)

    # The same group again gets nothing, and Keras then has nothing to report.
    again = isolated.run(steps.evaluate, *where, trained_model.path, sent)
    assert (again.steps, again.metrics) == (CLAIMS["group.second_read"].tutorial, {})


def test_a_new_group_gets_each_record_once(where, susy_test_topic: SusyTopic):
    sent = susy_test_topic.messages
    values, keys = isolated.run(steps.read_group, *where)
    delivered = Counter(zip(keys, values, strict=True))
    assert delivered == Counter(zip(sent.keys, sent.values, strict=True))


def test_predict_on_nothing_raises(reader: str, kafka, make_topic, group: str, trained_model):
    """Where evaluate gives an empty result, predict fails: a caller has to handle both."""
    with pytest.raises(isolated.ProcessFailed, match=r"\w+Error"):
        isolated.run(
            steps.predict_group, reader, kafka.bootstrap_servers, make_topic(2), group,
            trained_model.path,
        )  # fmt: skip
