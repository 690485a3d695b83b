# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Robust machine learning on streaming data, with Kafka
#
# The TensorFlow-IO tutorial as a notebook. Rows of SUSY go into a real Kafka; a classifier is
# trained on them, evaluated, and trained further on a stream. The broker is started here, and needs
# neither Docker nor an installed Java.

# %%
import os
import tempfile
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split

import tfkafka
from reproduction.susy.synthetic import generate
from tfkafka.testing.brokers import embedded

# "tfkafka", or "tfio" for tensorflow-io: the code below is the same for both.
READER = os.environ.get("NOTEBOOK_READER", "tfkafka")
# The tutorial's numbers. With fewer rows and epochs it takes less time, and learns less.
ROWS = int(os.environ.get("NOTEBOOK_ROWS", 100_000))
EPOCHS = int(os.environ.get("NOTEBOOK_EPOCHS", 10))
# A stream ends after so many ms without a record.
STREAM_TIMEOUT = int(os.environ.get("NOTEBOOK_STREAM_TIMEOUT", 10_000))
SEED = 1

# Keras cannot know how many records will come, and warns when there are no more.
warnings.filterwarnings("ignore", "Your input ran out of data")

if READER == "tfkafka":
    import tfkafka.tfio as tfio
else:
    import tensorflow_io as tfio

# %% [markdown]
# ## Start a broker
#
# Kafka 3.9.2, the newest that tensorflow-io can talk to. It ends with this notebook.

# %%
broker = embedded.start(tempfile.mkdtemp(), "3.9.2", progress=False)
servers = broker.bootstrap_servers
admin = tfkafka.Admin(servers)
admin.create_topic("susy-train", partitions=1)
admin.create_topic("susy-test", partitions=2)
print(f"Kafka {broker.version} at {servers}: {admin.topics()}")

# %% [markdown]
# ## The data
#
# A row of SUSY is a collision of particles: a class, 1 for a supersymmetric process and 0 for
# background, and 18 features. A detector measures 8 of them, 10 are derived from those. These rows
# are synthetic. They are as hard to classify as the real ones, and need no download.

# %%
susy = generate(ROWS, seed=SEED)
susy.head()

# %%
susy["class"].value_counts()

# %% [markdown]
# ## Write the records
#
# The features are the value of a record, as CSV, and the class is its key. 60 % of the rows are for
# training. All records of a class have one key, so in `susy-test` each class has a partition of its
# own.

# %%
train_rows, test_rows = train_test_split(susy, test_size=0.4, random_state=SEED)


def write(topic, rows):
    values = rows.drop(columns="class").to_csv(index=False, header=False).splitlines()
    count = tfkafka.write(servers, topic, values, rows["class"].astype(str))
    print(f"{topic}: {count:,} records")


write("susy-train", train_rows)
write("susy-test", test_rows)

# %% [markdown]
# ## Train
#
# A record becomes 18 numbers and a label. Every epoch reads the topic again. Nothing is committed.

# %%
COLUMNS, BATCH = 18, 64


def decode(message, key):
    return tf.io.decode_csv(message, [[0.0]] * COLUMNS), tf.strings.to_number(key)


def decode_item(item):
    return decode(item.message, item.key)


keras.utils.set_random_seed(SEED)
train = tfio.IODataset.from_kafka("susy-train", partition=0, offset=0, servers=servers)
train = train.shuffle(buffer_size=64).map(decode_item).batch(BATCH)

model = keras.Sequential(
    [
        keras.layers.Input([COLUMNS]),
        keras.layers.Dense(128, "relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(256, "relu"),
        keras.layers.Dropout(0.4),
        keras.layers.Dense(128, "relu"),
        keras.layers.Dropout(0.4),
        keras.layers.Dense(1, "sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(train, epochs=EPOCHS, shuffle=False, verbose=0).history

# %%
epochs = np.arange(1, EPOCHS + 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.plot(epochs, history["loss"], "o-")
left.set(title="Training loss", xlabel="epoch")
right.plot(epochs, history["accuracy"], "o-")
right.set(title="Training accuracy", xlabel="epoch")
plt.show()

# %% [markdown]
# ## Evaluate as a consumer group
#
# A group remembers how far it has read. Its lag is what it has not read yet: the end of each
# partition minus the offset that is committed. It is noted here every 50 batches. tfkafka commits
# what it has delivered when more is asked for; tensorflow-io leaves that to a timer, every 5 s.

# %%
STREAM = {
    "servers": servers,
    "stream_timeout": STREAM_TIMEOUT,
    "message_poll_timeout": STREAM_TIMEOUT,
    "configuration": ["auto.offset.reset=earliest"],
}
test = tfio.experimental.streaming.KafkaGroupIODataset(["susy-test"], "notebook", **STREAM)
test = test.map(decode).batch(BATCH)


def lag(topic, group):
    ends = admin.end_offsets(topic)
    committed = {row.partition: row.committed or 0 for row in admin.describe_group(group)}
    return sum(end - committed.get(partition, 0) for partition, end in ends.items())


seen, lags, labels, scores = [0], [lag("susy-test", "notebook")], [], []
for step, (features, label) in enumerate(test, 1):
    scores.append(model.predict_on_batch(features)[:, 0])
    labels.append(label)
    if step % 50 == 0:
        seen.append(step * BATCH)
        lags.append(lag("susy-test", "notebook"))
labels, scores = np.concatenate(labels), np.concatenate(scores)
seen.append(len(labels))
lags.append(lag("susy-test", "notebook"))
print(tfkafka.format_group(admin.describe_group("notebook")))

# %%
false_positive, true_positive, _ = roc_curve(labels, scores)
auc = roc_auc_score(labels, scores)
accuracy = np.mean((scores > 0.5) == labels)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(np.divide(seen, 1000), np.divide(lags, 1000), "o-")
left.set(title="Lag of the group", xlabel="thousand records read", ylabel="thousand records")
right.plot(false_positive, true_positive)
right.plot([0, 1], [0, 1], "--", color="gray")
right.set(title=f"ROC, area {auc:.3f}", xlabel="false positive rate", ylabel="true positive rate")
right.set_aspect("equal")
plt.show()
print(f"{len(labels):,} records, accuracy {accuracy:.4f}")

# %% [markdown]
# ## Train online
#
# Each element of the stream is a dataset of up to 10,000 records. The model is evaluated on them,
# and then trained on them once. The stream ends when no record has come for some seconds.

# %%
online = tfio.experimental.streaming.KafkaBatchIODataset(
    ["susy-train"], "notebook-online", **STREAM
)
losses = []
for records in online:
    batches = records.map(decode).batch(32)
    losses.append(model.evaluate(batches, verbose=0)[0])
    model.fit(batches, shuffle=False, verbose=0)
print(f"mini datasets: {len(losses)}")

# %%
figure, axes = plt.subplots(figsize=(4.5, 3), layout="constrained")
axes.plot(np.arange(1, len(losses) + 1), losses, "o-")
axes.set(title="Loss before training on it", xlabel="mini dataset")
plt.show()

# %% [markdown]
# ## Stop the broker

# %%
broker.stop()
