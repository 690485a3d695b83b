"""Step 3: create susy-train with 1 partition and susy-test with 2, and describe them.

The replication factor is 1, since there is one broker.
"""

import _common

arguments = _common.parse(
    __doc__,
    "--bootstrap-servers",
    recreate={"action": "store_true", "help": "delete topics of these names and their records"},
)

from reproduction.observe import note
from tfkafka import Admin, format_topic
from tfkafka.errors import TopicError

admin = Admin(_common.find_kafka(arguments), arguments.command_config)
partitions = {"susy-train": 1, "susy-test": 2}

# Both are looked at before either is touched.
existing = [name for name in partitions if name in admin.topics()]
for name in existing:
    if not arguments.recreate:
        raise TopicError(
            f"topic {name} exists already, with {len(admin.describe_topic(name).partitions)} "
            f"partitions and {admin.record_count(name):,} records; "
            f"--recreate deletes it and them"
        )
for name in existing:
    admin.delete_topic(name)

for name, count in partitions.items():
    admin.create_topic(name, partitions=count, replication_factor=1)
    print(f"Created topic {name}.")

topics = [admin.describe_topic(name) for name in partitions]
for topic in topics:
    print(format_topic(topic))

placed = [partition for topic in topics for partition in topic.partitions]
observed = {
    "topics.created": [topic.name for topic in topics],
    "topics.partitions": [len(topic.partitions) for topic in topics],
    "topics.replication_factor": [topic.replication_factor for topic in topics],
    "topics.leaders": [[p.leader, *p.replicas, *p.in_sync] for p in placed],
    "topics.segment_bytes": [topic.settings.get("segment.bytes") for topic in topics],
}
note(arguments, observed)
_common.end(arguments, "Made susy-train and susy-test.", "04_load_susy.py")
