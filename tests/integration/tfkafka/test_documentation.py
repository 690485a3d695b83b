"""The Python examples of the documents, one after the other, on a real broker."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import pytest

from tests import isolated
from tests.documents import ROOT, examples
from tests.unit.decoding.protobuf_samples import provide_event_pb2
from tfkafka import write

README, GUIDE = ROOT / "README.md", ROOT / "docs" / "reading-kafka.md"
DECODERS = ROOT / "docs" / "decoders.md"
SCALING = ROOT / "docs" / "scaling.md"
PREDICTIONS = ROOT / "docs" / "predictions.md"
MONITORING = ROOT / "docs" / "monitoring.md"
RECORDS = 1000
GROUPS = [
    "my-group",
    "evaluation",
    "training",
    "training-on-some",
    "own-loop",
    "susy-inference",
    "susy-serving",
]
# The one warning of the guide that no example of it shows.
SHUFFLED = "model.fit(tolerant.batch(64))"


def run_examples(blocks: list[str], names: dict[str, str], scope: dict) -> set[str]:
    """Run the blocks, with `names` in place of the document's; return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for block in blocks:
            for documented, name in names.items():
                block = block.replace(f'"{documented}"', repr(name))
            exec(compile(block, "example", "exec"), scope)
    return {str(warning.message) for warning in caught}


def run_guide(servers: str, names: dict[str, str], folder: Path) -> tuple[set[str], dict[str, int]]:
    """Run the examples of the guide; return the warnings, and what the examples counted."""
    import keras

    # The examples write files.
    os.chdir(folder)
    model = keras.Sequential([keras.layers.Input([18]), keras.layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    scope = {"servers": servers, "model": model, "folder": folder}
    shown = run_examples([*examples(GUIDE), SHUFFLED], names, scope)
    return shown, {
        "decoded": scope["rows"],
        "looped over": scope["used"],
        "predicted": scope["counts"].used,
        "learned from": scope["progress"].records,
        "served": scope["served"].used,
        "written": scope["count"],
    }


@pytest.fixture
def names(make_topic, group, kafka):
    """What the examples' names become here: topics that are filled, and groups of their own."""
    names = {"susy-train": make_topic(), "susy-test": make_topic(2)}
    rows = [",".join([str(n / RECORDS)] * 18) for n in range(RECORDS)]
    for topic in names.values():
        write(kafka.bootstrap_servers, topic, rows, [f"{n % 2}.0" for n in range(RECORDS)])
    return names | {name: f"{group}-{name}" for name in GROUPS}


def test_the_example_of_the_readme(kafka, admin, names):
    servers = kafka.bootstrap_servers
    isolated.run(run_examples, examples(README), names | {"127.0.0.1:9092": servers}, {})
    rows = admin.describe_group(names["my-group"])
    assert sum(row.committed for row in rows) == RECORDS


def test_the_examples_of_the_guide(kafka, admin, names, tmp_path):
    made = {f"susy-{name}": f"{names['susy-test']}-{name}" for name in ("predictions", "served")}
    try:
        shown, counts = isolated.run(run_guide, kafka.bootstrap_servers, names | made, tmp_path)
    finally:
        for topic in set(made.values()) & set(admin.topics()):
            admin.delete_topic(topic)
    assert counts.pop("written") == 1
    assert set(counts.values()) == {RECORDS}, counts
    # What the guide says about warnings is about those of the Keras that is installed.
    explained = re.findall(r"^\| `+ ?UserWarning: (.*?) ?`+ \|", GUIDE.read_text(), re.MULTILINE)
    assert len(explained) == 2
    for text in explained:
        assert any(warning.startswith(text) for warning in shown), (text, shown)


def test_the_examples_of_decoders(kafka, make_topic):
    blocks = examples(DECODERS)
    topics = set(re.findall(r'"(events-[a-z]+)"', "".join(blocks)))
    names = {topic: make_topic() for topic in topics}
    isolated.run(run_decoders, kafka.bootstrap_servers, blocks, names)


def run_decoders(servers: str, blocks: list[str], names: dict[str, str]) -> None:
    provide_event_pb2()
    run_examples(blocks, names, {"servers": servers})


def run_scaling(servers: str, names: dict[str, str], folder: Path) -> tuple[int, int, int]:
    """Run the examples about scaling; return the records that were read, steps, and updates."""
    scope = {"servers": servers, "folder": folder}
    run_examples(examples(SCALING, "test_the_examples_of_scaling"), names, scope)
    return scope["used"], len(scope["steps"]), int(scope["model"].optimizer.iterations)


def test_the_examples_of_scaling(kafka, names, tmp_path):
    records, steps, updates = isolated.run(run_scaling, kafka.bootstrap_servers, names, tmp_path)
    assert (records, steps, updates) == (RECORDS, 4, 2 * 4)


def run_predictions(servers: str, names: dict[str, str]) -> tuple[int, int]:
    """Run the examples about predictions; return how many were made, and how many rows written."""
    scope = {"servers": servers}
    run_examples(examples(PREDICTIONS), names, scope)
    return scope["counts"].used, scope["count"]


def test_the_examples_of_predictions(kafka, admin, make_topic, group):
    names = {
        name: make_topic() for name in ("events", "event-classes", "events-json", "events-raw")
    }
    admin.delete_topic(names["event-classes"])
    classes = ["electron", "muon", "tau"]
    values = [f"{number / RECORDS},1,2,3" for number in range(RECORDS)]
    keys = [classes[number % 3] for number in range(RECORDS)]
    write(kafka.bootstrap_servers, names["events"], values, keys)
    names["classification"] = f"{group}-classification"
    shown = isolated.run(run_predictions, kafka.bootstrap_servers, names)
    assert shown == (RECORDS, 1000)


def run_monitoring(servers: str, names: dict[str, str], folder: Path) -> tuple[int, list[float]]:
    """Run the examples about metrics; return how many were predicted, and the lag of training."""
    import keras

    from tfkafka.data import metrics_callback

    os.chdir(folder)
    # The lag is nan where Kafka takes longer: 1 s, otherwise.
    metrics_callback.PATIENCE_S = 60.0
    model = keras.Sequential([keras.layers.Input([18]), keras.layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    scope = {"servers": servers, "model": model}
    run_examples(examples(MONITORING), names, scope)
    return scope["counts"].used, scope["history"].history["lag"]


def test_the_examples_of_monitoring(kafka, make_topic, names, group, tmp_path):
    names["susy-predictions"] = make_topic(2)
    names |= {name: f"{group}-{name}" for name in ("watched-inference", "watched-training")}
    shown = isolated.run(run_monitoring, kafka.bootstrap_servers, names, tmp_path)
    assert shown == (RECORDS, [0])
