"""The examples of docs/reading-kafka.md, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import keras

from tfkafka import write

GUIDE = Path(__file__).parents[3] / "docs" / "reading-kafka.md"


def test_each_example_runs(kafka, make_topic):
    servers = kafka.bootstrap_servers
    model = keras.Sequential([keras.layers.Input([18]), keras.layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    names = {"susy-train": make_topic(), "susy-test": make_topic(2), "model": model}
    rows = [",".join([str(n / 1000)] * 18) for n in range(1000)]
    for topic in ("susy-train", "susy-test"):
        write(servers, names[topic], rows, [f"{n % 2}.0" for n in range(1000)])
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(examples) >= 8
    scope = {"servers": servers, "model": model}
    for example in examples:
        for topic in ("susy-train", "susy-test"):
            example = example.replace(f'"{topic}"', repr(names[topic]))
        exec(compile(example, str(GUIDE), "exec"), scope)
    assert scope["rows"] == 1000 and scope["count"] == 1
