"""Manifests: written as JSON, read again, and refused in one line where they are wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tfkafka
from tfkafka.chunk import OffsetRange, TopicPartition
from tfkafka.decoding.base import ArraySpec
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.decoding.example import ExampleDecoder
from tfkafka.decoding.functions import FunctionDecoder
from tfkafka.decoding.image import ImageDecoder
from tfkafka.decoding.json import JsonDecoder
from tfkafka.decoding.sources import Field, Header, Key
from tfkafka.decoding.tensor import TensorDecoder
from tfkafka.errors import ManifestError, TopicError
from tfkafka.reading.manifest import FORMAT, Manifest, describe_decoder, versions
from tfkafka.reading.progress import Place
from tfkafka.reading.ranges import Identity

WHICH = Identity("t", "cluster", "topic-id")
MANIFEST = Manifest(
    servers="h:1",
    identity=WHICH,
    ranges=(OffsetRange("t", 1, 5, 9, 3), OffsetRange("t", 0, 0, 2)),
    order="some order",
    isolation_level="read_committed",
    decoder=describe_decoder(CsvDecoder(2, "key")),
    counts={"read": 6, "used": 6, "skipped": 0, "dead_lettered": 0},
)
STATE = Place({TopicPartition("t", 1): 7}, read=2, skip=1)


@pytest.mark.parametrize("place", [None, STATE])
@pytest.mark.parametrize("shard", [None, (1, 3)])
def test_what_is_read_is_what_was_written(tmp_path, place, shard):
    manifest = Manifest(**{**vars(MANIFEST), "place": place, "shard": shard})
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest.to_json()))
    assert Manifest.of(path) == manifest
    assert Manifest.of(str(path)) == manifest
    assert Manifest.of(manifest.to_json()) == manifest
    assert [each.leader_epoch for each in Manifest.of(path).ranges] == [3, None]


def test_a_shard_of_a_manifest():
    shard = MANIFEST.of_shard((1, 2))
    assert shard.part == (OffsetRange("t", 1, 8, 9), OffsetRange("t", 0, 0, 2))
    assert (shard.ranges, shard.counts) == (MANIFEST.ranges, None)
    assert shard.of_shard(None) is shard.of_shard((1, 2)) is shard
    assert shard.of_shard((0, 1)).part == MANIFEST.part == MANIFEST.ranges


@pytest.mark.parametrize(
    ("bound", "reason"),
    [({"max_records": 5}, "has max_records"), ({"place": STATE}, "begins in the middle")],
)
def test_what_is_counted_cannot_be_cut(bound, reason):
    manifest = Manifest(**{**vars(MANIFEST), **bound, "shard": (0, 2)})
    assert manifest.of_shard((0, 2)) is manifest
    with pytest.raises(ManifestError, match=rf"^topic t: shard is \(1, 2\), and .* {reason}: only"):
        manifest.of_shard((1, 2))


def test_a_manifest_without_epochs_and_shard_is_read():
    content = json.loads(json.dumps(MANIFEST.to_json()))
    del content["shard"]
    for each in content["ranges"]:
        del each["leader_epoch"]
    found = Manifest.of(content)
    assert found == MANIFEST and found.ranges[0].leader_epoch is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "its format is None, must be 'tfkafka manifest 1'"),
        (json.dumps({"format": FORMAT}), "it has no 'topic'"),
        (json.dumps({**MANIFEST.to_json(), "ranges": [{}]}), "it has no 'partition'"),
        (json.dumps({**MANIFEST.to_json(), "ranges": 7}), "not iterable"),
        (
            json.dumps(
                MANIFEST.to_json()
                | {"ranges": [{"partition": 0, "start": 0, "stop": 1, "leader_epoch": "new"}]}
            ),
            "leader_epoch is 'new', must be",
        ),
        (json.dumps({**MANIFEST.to_json(), "more": 7}), "unexpected keyword argument 'more'"),
        (json.dumps({**MANIFEST.to_json(), "place": {}}), "it has no 'next_offsets'"),
        (
            json.dumps({**MANIFEST.to_json(), "shard": [2, 2]}),
            r"shard is \[2, 2\], must be",
        ),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, text, reason):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(ManifestError, match=reason) as refusal:
        Manifest.of(path)
    assert str(refusal.value).startswith(f"{path}: not a manifest: ")
    assert "\n" not in str(refusal.value)


def test_the_versions_are_those_that_run():
    assert versions()["tfkafka"] == tfkafka.__version__
    assert versions()["numpy"] == np.__version__


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"none\.json: cannot be read: No such file"):
        Manifest.of(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (Identity("t", "cluster", "new"), r"the topic is not the one .*topic_id new, was topic-id"),
        (Identity("t", "other", "topic-id"), r"the cluster is not the one .*cluster_id other"),
    ],
)
def test_another_topic_of_the_same_name_is_refused(found, named):
    with pytest.raises(TopicError, match=named) as refusal:
        MANIFEST.refuse_another_topic(found)
    assert refusal.value.topic == "t"


@pytest.mark.parametrize("topic_id", ["topic-id", None])
def test_the_same_topic_is_not_refused(topic_id):
    """A broker before Kafka 2.8 gives topics no id."""
    MANIFEST.refuse_another_topic(Identity("t", "cluster", topic_id))


def test_a_decoder_of_this_library_is_made_again():
    assert MANIFEST.decode(None) == CsvDecoder(2, "key")
    assert MANIFEST.decode(CsvDecoder(2, "key")) == CsvDecoder(2, "key")
    assert Manifest(**{**vars(MANIFEST), "decoder": None}).decode(None) is None


def test_a_label_of_its_own_is_made_again():
    for label in (Key(classes=["a", "b"]), Header("label", dtype="int64")):
        decode = CsvDecoder(2, label)
        content = json.loads(json.dumps(describe_decoder(decode)))
        assert Manifest(**{**vars(MANIFEST), "decoder": content}).decode(None) == decode


def test_a_json_decoder_is_made_again():
    decode = JsonDecoder(
        ["a.b", Field("h", shape=(2, 3)), Field("c", classes=["u", "v"])],
        Field("y", dtype="int64"),
        True,
        Header("w"),
        features="dict",
        missing={"a.b": 0.5, "c": 1},
    )
    content = json.loads(json.dumps(describe_decoder(decode)))
    again = Manifest(**{**vars(MANIFEST), "decoder": content}).decode(None)
    assert again == decode and again.element_spec == decode.element_spec


def test_a_function_cannot_be_made_again_but_is_known_by_its_name():
    spec = ArraySpec((), np.dtype(np.int64))
    decode = FunctionDecoder(np.array, spec)
    content = json.loads(json.dumps(describe_decoder(decode)))
    manifest = Manifest(**{**vars(MANIFEST), "decoder": content})
    assert manifest.decode(FunctionDecoder(np.array, spec)) == decode
    with pytest.raises(ManifestError, match="were decoded by"):
        manifest.decode(FunctionDecoder(np.zeros, spec))
    with pytest.raises(ManifestError, match="give the decoder as decode="):
        manifest.decode(None)


@pytest.mark.parametrize(
    "decode",
    [
        TensorDecoder((2, 3), ">f8", Key(dtype="int32"), False),
        ExampleDecoder(
            ["x", Field("n", dtype="int64")], Field("y", classes=["a"]), missing={"x": 0}
        ),
        ImageDecoder([np.int64(5), 6, 1], Header("label")),
    ],
)
def test_other_decoders_are_made_again(decode):
    content = json.loads(json.dumps(describe_decoder(decode)))
    assert Manifest(**{**vars(MANIFEST), "decoder": content}).decode(None) == decode


@pytest.mark.parametrize(
    ("decoder", "reason"),
    [
        ({"name": "os.system", "arguments": {"command": "true"}}, "give that decoder as decode="),
        ({"name": "tfkafka.decoding.csv.None", "arguments": {}}, "cannot be created again"),
        ({"name": "tfkafka.decoding.no.Decoder", "arguments": {}}, "cannot be created again"),
        ({"name": "tfkafka.decoding.halving.halve", "arguments": {}}, "is no class of decoders"),
        ({"name": "tfkafka.decoding.csv.CsvDecoder", "arguments": {"a": 1}}, "cannot be created"),
        ({"name": "tfkafka.decoding.csv.CsvDecoder", "arguments": {"columns": 0}}, "at least 1"),
    ],
)
def test_no_other_decoder_is_made(decoder, reason):
    with pytest.raises(ManifestError, match=reason):
        Manifest(**{**vars(MANIFEST), "decoder": decoder}).decode(None)


def test_another_decoder_is_refused():
    with pytest.raises(ManifestError, match=r"topic t: decode is .*were decoded by"):
        MANIFEST.decode(CsvDecoder(3, "key"))
