"""Online learning from records and with models that spoil weights; tests/faults kills it."""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests import isolated
from tfkafka import CsvDecoder, write
from tfkafka.errors import BadRecordError, CheckpointError
from tfkafka.online.checkpoints import Checkpoint, Series, load, packed

GOOD = ["1,1"] * 20


def test_weights_that_are_not_finite_are_never_saved(kafka, topic, tmp_path):
    write(kafka.bootstrap_servers, topic, [*GOOD, "3,3", *GOOD], ["1"] * 41)
    isolated.run(learn_from_what_spoils, kafka.bootstrap_servers, topic, tmp_path)


def test_a_record_that_is_not_finite_is_a_bad_one(kafka, topic, tmp_path):
    write(kafka.bootstrap_servers, topic, [*GOOD, "nan,1", "1,1e39"], ["1"] * 22)
    write(kafka.bootstrap_servers, topic, ["1,1"], ["inf"])
    isolated.run(learn_from_nan, kafka.bootstrap_servers, topic, tmp_path)


def test_each_mini_dataset_is_evaluated_before_it_is_trained_on(kafka, topic, tmp_path):
    write(kafka.bootstrap_servers, topic, [f"{n % 7},{n % 3}" for n in range(25)], ["1"] * 25)
    write(kafka.bootstrap_servers, topic, ["no number"] * 10, ["1"] * 10)
    isolated.run(learn_with_history, kafka.bootstrap_servers, topic, tmp_path)


def test_every_export_has_a_name_and_a_manifest(kafka, topic, tmp_path):
    write(kafka.bootstrap_servers, topic, [f"{n % 7},{n % 3}" for n in range(40)], ["1"] * 40)
    isolated.run(learn_with_exports, kafka.bootstrap_servers, topic, tmp_path)


def test_a_model_that_is_worse_than_its_bound_is_not_exported(kafka, topic, tmp_path):
    write(kafka.bootstrap_servers, topic, [f"{n % 7},{n % 3}" for n in range(50)], ["1"] * 50)
    isolated.run(learn_with_a_bound, kafka.bootstrap_servers, topic, tmp_path)


def test_a_restored_state_is_in_memory_once(kafka, topic, tmp_path):
    write(kafka.bootstrap_servers, topic, GOOD, ["1"] * len(GOOD))
    isolated.run(learn_again, kafka.bootstrap_servers, topic, tmp_path)


def build():
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="only")])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    return model


def train(model, features, labels):
    model.fit(features, labels, verbose=0)


def files(folder: Path) -> dict[str, str]:
    """Plans, states and the history of a folder."""
    paths = (*folder.glob("*.ckpt"), *folder.glob("*.jsonl"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def learn_from_what_spoils(servers: str, topic: str, folder: Path) -> None:
    from tfkafka.online import Stream, learn

    stream = Stream(topic, CsvDecoder(2, "key"), servers, mini_dataset=10, stream_timeout=0)

    def spoil(name: str):
        def train_and_spoil(model, features, labels):
            train(model, features, labels)
            if features.max() > 2:
                variables = [*model.weights, *model.optimizer.variables]
                [variable] = [each for each in variables if name in each.path]
                variable.assign(np.full(variable.shape, np.inf))

        return train_and_spoil

    def left_after(name: str, of_train) -> dict[str, str]:
        named = (
            rf"mini dataset 3 \(topic {topic}, partition 0, offsets 20:30\) made 1 of 6 .*"
            rf"not finite, the first is .*{name}.*: not saved; .* is state-0000000002.ckpt"
        )
        with pytest.raises(CheckpointError, match=named):
            learn(folder / name, stream, build, of_train, seed=1, notify=lambda line: None)
        return files(folder / name)

    for name, path in {"kernel": "only/kernel", "momentum": "bias_momentum"}.items():
        left = left_after(name, spoil(path))
        assert {"plan-0000000003.ckpt", "state-0000000002.ckpt", "history.jsonl"} <= left.keys()
        assert "state-0000000003.ckpt" not in left
        # The same plan fails in the same way, and a better `train` continues with it.
        assert left_after(name, spoil(path)) == left
        exported = [each.name for each in (folder / name / "exports").glob("*.keras")]
        assert sorted(each[:16] for each in exported) == ["model-0000000001", "model-0000000002"]
        end = learn(folder / name, stream, build, train, seed=1, notify=lambda line: None)
        assert (end.mini_datasets, end.records) == (5, 41)
    for path in folder.glob("*/state-*"):
        arrays = load(path).arrays.values()
        assert all(np.isfinite(each).all() for each in arrays)


def learn_with_history(servers: str, topic: str, folder: Path) -> None:
    from tfkafka.online import Stream, learn

    stream = Stream(
        topic,
        CsvDecoder(2, "key"),
        servers,
        mini_dataset=10,
        stream_timeout=0,
        on_bad_record="skip",
    )
    seen: list[float] = []

    def note(model, features, labels) -> None:
        outputs = model.predict(features, verbose=0)[:, 0]
        seen.append(float(((outputs - labels) ** 2).mean()))
        train(model, features, labels)

    def run(name: str, **options):
        return learn(folder / name, stream, build, seed=1, notify=said.append, **options)

    said: list[str] = []
    history = run("keras", train=note).history
    assert list(history) == ["loss"]
    *losses, none = history["loss"]
    assert losses == pytest.approx(seen, rel=1e-5) and len(losses) == 3 and np.isnan(none)
    assert [line.count("before training loss") for line in said] == [1, 1, 1, 0, 0]
    # It is the history of all processes together.
    assert run("keras", train=note).history["loss"][:3] == losses

    def refuse_one(model, features, labels):
        if seen:
            raise RuntimeError
        seen.append(1.0)
        return {"rows": len(features), "constant": np.float32(0.5)}

    seen.clear()
    with pytest.raises(RuntimeError):
        run("own", train=train, evaluate=refuse_one)
    rows = run("own", train=train, evaluate=lambda model, x, y: {"rows": len(x)}).history
    assert rows["rows"][:3] == [10, 10, 5] and rows["constant"][0] == 0.5
    assert np.isnan(rows["rows"][3:]).all() and np.isnan(rows["constant"][1:]).all()

    def build_for_one_column():
        import keras

        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def train_on_one_column(model, features, labels):
        train(model, features[:, :1], labels)

    with pytest.raises(ValueError, match=r"^evaluate: model.evaluate fails .*give learn an evalu"):
        learn(folder / "one", stream, build_for_one_column, train_on_one_column, seed=1)

    def build_without_loss():
        import keras

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd")
        return model

    def train_by_hand(model, features, labels):
        model.weights[0].assign_add(np.full((2, 1), 0.5))

    end = learn(folder / "hand", stream, build_without_loss, train_by_hand, seed=1)
    assert (end.mini_datasets, end.history) == (4, {})


def weights_of(path: Path) -> list[np.ndarray]:
    import keras

    return keras.models.load_model(path).get_weights()


def learn_with_exports(servers: str, topic: str, folder: Path) -> None:
    from tfkafka import KafkaDataset
    from tfkafka.online import Stream, learn

    stream = Stream(topic, CsvDecoder(2, "key"), servers, mini_dataset=10, stream_timeout=0)

    def run(name: str, **options) -> None:
        weights = {}

        def note(model, features, labels) -> None:
            train(model, features, labels)
            weights[len(weights) + 1] = model.get_weights()

        learn(folder / name, stream, build, note, seed=1, export_s=0, **options)
        for path in models(name):
            number = int(path.name.split("-")[1])
            assert all(map(np.array_equal, weights_of(path), weights[number]))
            records = KafkaDataset.from_manifest(
                path.with_suffix(".manifest.json"), servers=servers
            )
            assert len(list(records)) == 10 * number
        newest, model = models(name)[-1], folder / name / "model.keras"
        assert model.read_bytes() == newest.read_bytes()
        manifest = model.with_suffix(".manifest.json").read_bytes()
        assert manifest == newest.with_suffix(".manifest.json").read_bytes()

    def models(name: str) -> list[Path]:
        return sorted((folder / name / "exports").glob("*.keras"))

    run("all")
    assert [path.name[:17] for path in models("all")] == [f"model-{n:010}-" for n in (1, 2, 3, 4)]
    # The same weights have the same name, wherever they are made.
    run("two", keep_exports=2)
    assert [path.name for path in models("two")] == [path.name for path in models("all")[2:]]
    assert len(list((folder / "two" / "exports").iterdir())) == 4
    # A killed process had written half of a model, and had not yet copied the last one.
    half = folder / "all" / "exports" / ".new-model-0000000005-0.keras"
    half.write_bytes(b"PK")
    before = models("all")[-1].stat().st_mtime_ns
    learn(folder / "all", stream, build, train, seed=1)
    assert not half.exists() and models("all")[-1].stat().st_mtime_ns == before
    for path in (folder / "all").glob("state-*"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"all/exports: has models of a training whose stat"):
        learn(folder / "all", stream, build, train, seed=1)


def learn_with_a_bound(servers: str, topic: str, folder: Path) -> None:
    from tfkafka.online import Stream, learn

    stream = Stream(topic, CsvDecoder(2, "key"), servers, mini_dataset=10, stream_timeout=0)
    exports, weights, judged, said = folder / "of" / "exports", {}, [], []

    def spoil_the_second(model, features, labels) -> None:
        number = len(weights) + 1
        model.set_weights([np.full((2, 1), 100.0 if number == 2 else number / 10), np.zeros(1)])
        weights[number] = model.get_weights()

    def is_good(metrics) -> bool:
        judged.append(metrics["loss"])
        return metrics["loss"] < 1000

    def run(folder: Path, **options):
        return learn(
            folder, stream, build, seed=1, export_s=0, notify=said.append, **options
        ).history["loss"]

    history = run(folder / "of", train=spoil_the_second, export_if=is_good)
    assert judged == history
    assert [loss < 1000 for loss in history] == [True, True, False, True, True]
    # What a mini dataset says of the model before it: the second one spoils, the third one sees it.
    found = {int(path.name.split("-")[1]): path for path in exports.glob("*.keras")}
    assert sorted(found) == [0, 1, 3, 4]
    for number in (1, 3, 4):
        assert all(map(np.array_equal, weights_of(found[number]), weights[number]))
    refused = [line for line in said if "is not exported" in line]
    assert refused == [
        f"the model of 2 mini datasets is not exported: export_if refuses loss {history[2]:.4g} "
        f"on the next one",
        "the model of 5 mini datasets is not exported yet: the next one judges it",
    ]
    write(servers, topic, ["1,1"] * 10, ["1"] * 10)
    run(folder / "of", train=train, export_if=is_good)
    assert max(int(path.name.split("-")[1]) for path in exports.glob("*.keras")) == 5
    with pytest.raises(ValueError, match="export_if: the model has no metrics"):
        run(folder / "none", train=train, export_if=is_good, evaluate=lambda *arrays: {})


def learn_again(servers: str, topic: str, folder: Path) -> None:
    from tfkafka.online import Stream, learn, training

    stream = Stream(topic, CsvDecoder(2, "key"), servers, mini_dataset=10, stream_timeout=0)
    held: list[int] = []
    packings: list[object] = []

    def note(model, features, labels) -> None:
        held.append(sum(type(each) is Checkpoint for each in gc.get_objects()))
        train(model, features, labels)
        if len(held) == 1:
            raise RuntimeError

    def noted(*content) -> bytes:
        packings.append(content)
        return packed(*content)

    training.packed = noted
    with pytest.raises(RuntimeError):
        learn(folder, stream, build, note, seed=1)
    assert learn(folder, stream, build, note, seed=1).mini_datasets == 2
    # There is no other process to send it to, either.
    assert (held, packings) == ([0, 0, 0], [])


def learn_from_nan(servers: str, topic: str, folder: Path) -> None:
    from tfkafka import KafkaDataset
    from tfkafka.online import Stream, learn

    said = []

    def run(name: str, finite: bool | None, policy: str):
        stream = Stream(
            topic,
            CsvDecoder(2, "key", finite=finite),
            servers,
            mini_dataset=1000,
            stream_timeout=0,
            on_bad_record=policy,
        )
        return learn(folder / name, stream, build, train, seed=1, notify=said.append)

    with pytest.raises(
        BadRecordError, match=r"offset 20: column 0 \(from 0\) is not finite.*b'nan'"
    ):
        run("error", None, "error")
    assert run("skip", None, "skip").records == 20
    bad = (
        "3 of 23 records could not be decoded and were skipped: "
        "1 x column 0 (from 0) is not finite as float32; "
        "1 x column 1 (from 0) is not finite as float32; "
        "1 x label: is not finite as float32"
    )
    line, last = said
    assert line.startswith("mini dataset 1: 20 records, 20 in all; before training loss ")
    assert line.endswith(f"; {bad}") and last == f"topic {topic}: {bad}"
    # Another process counts on.
    assert run("skip", None, "skip").counts.skipped == 3 and said[-1] == f"topic {topic}: {bad}"
    with pytest.raises(CheckpointError, match=r"mini dataset 1 .*state-0000000000.ckpt"):
        run("taken", False, "error")
    assert Series(folder / "taken", "state").numbers() == [0]
    again = KafkaDataset.from_manifest(folder / "skip" / "model.manifest.json", servers=servers)
    assert len(list(again)) == 20

    def build_spoiled():
        model = build()
        model.set_weights([np.full((2, 1), np.nan), np.zeros(1)])
        return model

    stream = Stream(topic, CsvDecoder(2, "key"), servers, stream_timeout=0)
    with pytest.raises(CheckpointError, match=r"build made .*kernel"):
        learn(folder / "built", stream, build_spoiled, train, seed=1)
