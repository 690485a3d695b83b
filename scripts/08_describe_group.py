"""Step 8: show how far a consumer group has read, after its member has gone.

Where CURRENT-OFFSET equals LOG-END-OFFSET in all partitions, everything was committed. That
everything was used does not follow from it.
"""

import _common

arguments = _common.parse(__doc__, "--bootstrap-servers", group_id={"default": "testcg"})

from tfkafka import Admin, format_group
from tfkafka.errors import TfkafkaError

servers = _common.find_kafka(arguments)
group = Admin(servers, arguments.command_config).describe_group(arguments.group_id)
if not group:
    raise TfkafkaError(
        f"there is no consumer group {arguments.group_id} on {servers}: "
        f"run scripts/07_evaluate.py first"
    )
if not any(row.consumer_id for row in group):
    print(f"Consumer group '{arguments.group_id}' has no active members.")
print(format_group(group))
_common.end(arguments, f"Described group {arguments.group_id}.", "09_train_online.py")
