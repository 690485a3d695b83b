"""Step 8: the training dataset gives each record of susy-train once, and decodes it right."""

from collections import Counter
from hashlib import sha256

import numpy as np
import pytest

from tests import isolated
from tests.integration.tutorial import steps
from tests.tutorial import FAST_FETCH, Messages, SusyTopic


@pytest.fixture
def elements(reader: str, susy_train_topic: SusyTopic) -> steps.Elements:
    topic = susy_train_topic
    return isolated.run(
        steps.read_partition, reader, topic.bootstrap_servers, topic.name, FAST_FETCH
    )


def ledger(values: list[bytes], keys: list[bytes]) -> Counter[bytes]:
    """How often each record is there, by a hash of its key and value."""
    return Counter(
        sha256(key + b"\0" + value).digest() for key, value in zip(keys, values, strict=True)
    )


def test_each_record_once_and_decoded_exactly(
    elements: steps.Elements, susy_train_topic: SusyTopic
):
    sent: Messages = susy_train_topic.messages
    assert len(elements.values) == len(sent)
    delivered = ledger(elements.values, elements.keys)
    assert delivered == ledger(sent.values, sent.keys)
    np.testing.assert_array_equal(elements.features, sent.features)
    np.testing.assert_array_equal(elements.labels, sent.labels)


def test_ledger_sees_what_a_count_does_not():
    values, keys = [b"1", b"2"], [b"0.0", b"1.0"]
    assert ledger(values, keys) != ledger([b"1", b"1"], keys)
    assert ledger(values, keys) != ledger(values, [b"1.0", b"0.0"])
