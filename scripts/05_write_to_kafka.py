"""Step 5: split the rows, and write each as a record: its features as CSV, its class as the key.

All records of a class share one key, so in susy-test, which has two partitions, each class gets
a partition of its own.
"""

import _common
import pandas as pd
from kafka import KafkaProducer
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from reproduction.susy.schema import COLUMNS
from tfkafka import Admin
from tfkafka.errors import TopicError, WriteError

arguments = _common.parse(__doc__, "--bootstrap-servers", "--seed")
servers = _common.find_kafka(arguments)
csv = _common.require_file(arguments.artifacts / "SUSY.csv", "04_load_susy.py")
for name in ("susy-train", "susy-test"):
    if name not in Admin(servers).topics():
        raise TopicError(f"there is no topic {name} on {servers}: run scripts/03_create_topics.py")
    if count := Admin(servers).record_count(name):
        raise TopicError(
            f"topic {name} on {servers} holds {count:,} records already, and these would come "
            f"on top: run scripts/03_create_topics.py --recreate first"
        )

# Split: 60 % to train, 40 % to test. The tutorial's split has no seed; with one, a run can be
# repeated to the last digit.
try:
    susy_df = pd.read_csv(csv, header=None, names=list(COLUMNS))
except pd.errors.ParserError:
    susy_df = pd.DataFrame()
if len(susy_df) < 2 or susy_df.isna().to_numpy().any():
    raise OSError(5, "is damaged: run scripts/04_load_susy.py again", str(csv))
train_df, test_df = train_test_split(
    susy_df, test_size=0.4, shuffle=True, random_state=arguments.seed
)
print("Number of training samples: ", len(train_df))
print("Number of testing sample: ", len(test_df))

x_train_df = train_df.drop(["class"], axis=1)
y_train_df = train_df["class"]
x_test_df = test_df.drop(["class"], axis=1)
y_test_df = test_df["class"]

# The labels are the messages' keys, which decide the partition.
x_train = list(filter(None, x_train_df.to_csv(index=False).split("\n")[1:]))
y_train = list(filter(None, y_train_df.to_csv(index=False).split("\n")[1:]))
x_test = list(filter(None, x_test_df.to_csv(index=False).split("\n")[1:]))
y_test = list(filter(None, y_test_df.to_csv(index=False).split("\n")[1:]))


def write_to_kafka(topic_name, items, total):
    """Send, wait, and count the acknowledgements; WriteError if one is missing.

    The tutorial raises in an error callback instead. kafka-python logs that exception and
    swallows it, so the run would go on: each future is kept and asked.
    """
    producer = KafkaProducer(bootstrap_servers=[servers])
    futures = []
    for message, key in tqdm(items, desc=topic_name, total=total, unit=" records"):
        futures.append(
            producer.send(topic_name, key=key.encode("utf-8"), value=message.encode("utf-8"))
        )
    producer.flush()
    failed = [(number, future) for number, future in enumerate(futures) if not future.succeeded()]
    producer.close()
    if failed:
        number, future = failed[0]
        raise WriteError(
            f"topic {topic_name} on {servers}: {len(failed):,} of {len(futures):,} records were "
            f"not acknowledged, the first is number {number} ({future.exception}): "
            f"run scripts/03_create_topics.py --recreate, then this again"
        )
    print(f"Wrote {len(futures)} messages into topic: {topic_name}")
    return len(futures)


written = [
    write_to_kafka("susy-train", zip(x_train, y_train, strict=True), len(x_train)),
    write_to_kafka("susy-test", zip(x_test, y_test, strict=True), len(x_test)),
]

_common.observe(arguments, susy__split=[len(x_train), len(x_test)], write__records=written)
