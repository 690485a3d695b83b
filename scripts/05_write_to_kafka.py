"""Step 5: split the rows, and write each as a record: its features as CSV, its class as the key.

All records of a class share one key, so in susy-test, which has two partitions, each class gets
a partition of its own.
"""

import _common

arguments = _common.parse(__doc__, "--bootstrap-servers", "--seed")
servers = _common.find_kafka(arguments)
csv = _common.require_file(arguments.artifacts / "SUSY.csv", "04_load_susy.py")
_common.require_empty_topics(arguments, servers, "susy-train", "susy-test")

from reproduction.kafka_python import kafka_python_arguments

security = kafka_python_arguments(arguments.command_config)

import pandas as pd
from kafka import KafkaProducer
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from reproduction.observe import Delivery, note
from reproduction.susy.schema import COLUMNS

try:
    susy_df = pd.read_csv(csv, header=None, names=list(COLUMNS))
except pd.errors.ParserError:
    susy_df = pd.DataFrame()
if len(susy_df) < 2 or susy_df.isna().to_numpy().any():
    raise OSError(5, "is damaged: run scripts/04_load_susy.py again", str(csv))

# Split: 60 % to train, 40 % to test. The tutorial's split has no seed; with one, a run can be
# repeated to the last digit.
train_df, test_df = train_test_split(
    susy_df, test_size=0.4, shuffle=True, random_state=arguments.seed
)
print("Number of training samples: ", len(train_df))
print("Number of testing sample: ", len(test_df))

x_train_df = train_df.drop(["class"], axis=1)
y_train_df = train_df["class"]
x_test_df = test_df.drop(["class"], axis=1)
y_test_df = test_df["class"]

# The labels are set as the kafka message keys, which decide the partition.
x_train = list(filter(None, x_train_df.to_csv(index=False).split("\n")[1:]))
y_train = list(filter(None, y_train_df.to_csv(index=False).split("\n")[1:]))
x_test = list(filter(None, x_test_df.to_csv(index=False).split("\n")[1:]))
y_test = list(filter(None, y_test_df.to_csv(index=False).split("\n")[1:]))


def write_to_kafka(topic_name, items):
    count = 0
    producer = KafkaProducer(bootstrap_servers=servers.split(","), **security)
    delivery = Delivery(servers, topic_name)
    for message, key in tqdm(items, desc=topic_name, unit=" records", disable=None):
        sent = producer.send(topic_name, key=key.encode("utf-8"), value=message.encode("utf-8"))
        delivery.add(sent)
        count += 1
    producer.flush()
    producer.close()
    delivery.confirm()  # instead of the tutorial's error callback, which stops nothing
    print(f"Wrote {count} messages into topic: {topic_name}")
    return count


written = [
    write_to_kafka("susy-train", list(zip(x_train, y_train, strict=True))),
    write_to_kafka("susy-test", list(zip(x_test, y_test, strict=True))),
]

note(arguments, {"susy.split": [len(x_train), len(x_test)], "write.records": written})
_common.end(arguments, "Filled susy-train and susy-test.", "06_train.py")
