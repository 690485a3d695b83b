"""Step 11: stop the Kafka that 02_start_kafka.py started; its data stay."""

import _common

from tfkafka.testing.brokers.folder import BrokerFolder

arguments = _common.parse(__doc__)
folder = BrokerFolder(_common.kafka_folder(arguments))
state = folder.read_state()
if state is None:
    print(f"No Kafka was started in {folder.path}; nothing to stop.")
else:
    died = not state.kafka.running()
    state.end_processes()
    folder.forget_state()
    print(f"Kafka {state.version} at {state.address} {'had died' if died else 'has stopped'}.")
