"""Step 11: stop the Kafka that 02_start_kafka.py started; its data stay."""

import _common

arguments = _common.parse(__doc__)

from tfkafka.testing.brokers.folder import BrokerFolder

folder = BrokerFolder(_common.kafka_folder(arguments))
state = folder.read_state()
if state is None:
    stopped = f"No Kafka was started in {_common.shown(folder.path)}; nothing to stop."
else:
    died = not state.kafka.running()
    state.end_processes()
    folder.forget_state()
    stopped = f"Kafka {state.version} at {state.address} {'had died' if died else 'has stopped'}."
_common.end(arguments, stopped, "02_start_kafka.py")
