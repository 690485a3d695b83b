"""Step 11: stop the Kafka that 02_start_kafka.py started; its data stay."""

import _common

arguments = _common.parse(__doc__)

from tfkafka.testing.brokers.running import started_in

stopped = started_in(_common.kafka_folder(arguments)).stop()
_common.end(arguments, stopped, "02_start_kafka.py")
