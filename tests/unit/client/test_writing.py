"""How what `write` is given becomes records, without a broker."""

from __future__ import annotations

import pytest

from tfkafka.client import writing
from tfkafka.client.records import Records


@pytest.fixture
def sent(monkeypatch):
    """sent(values, keys) -> the batches that `write` hands to its producer."""
    batches = []

    class Sending:
        def send(self, _topic, several, _partition):
            batches.extend(several)
            return len(batches)

    monkeypatch.setattr(writing, "_connected", lambda *_: Sending())

    def write(values, keys=None):
        writing.write("127.0.0.1:1", "t", values, keys)
        return batches

    return write


def test_parts_of_large_values_are_bounded(sent):
    large = bytes(writing.BATCH_BYTES // 2)
    values = [large, large, b"", large, None, large + b"x", large * 3, "é", *["a"] * 9000]
    batches = sent(values, [str(number) for number in range(len(values))])
    assert all(isinstance(batch, Records) for batch in batches)
    assert [len(batch) for batch in batches[:4]] == [3, 2, 1, 1]
    assert all(len(batch) <= writing.BATCH_RECORDS for batch in batches)
    records = [record for batch in batches for record in batch]
    assert [value for value, *_ in records[:8]] == [*values[:7], "é".encode()]
    assert [int(key) for _, key, _ in records] == [*range(len(values))]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("keys", [list, iter])
@pytest.mark.parametrize("values", [list, iter])
def test_keys_of_another_number_are_refused(sent, values, keys, count):
    with pytest.raises(ValueError, match=r"keys (has|and values)"):
        for batch in sent(values(["x", "y"]), keys(["a"] * count)):
            list(batch)


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.5, TypeError, r"values\[1\] is 1\.5, must be text, bytes or None: for numbers"),
        ("\ud800", ValueError, r"values\[1\] .* must be text that UTF-8 can encode"),
    ],
)
def test_what_is_no_text_is_refused_by_number(sent, kind, value, error, text):
    with pytest.raises(error, match=text):
        for batch in sent(kind(["x", value])):
            list(batch)
