"""Step 2: start Kafka, at 127.0.0.1:9092 as in the tutorial.

Version 2.7.2, the tutorial's own, runs beside a ZooKeeper at port 2181; the other ones here keep
their metadata themselves (KRaft). The processes go on until 11_stop_kafka.py ends them.
"""

import _common

arguments = _common.parse(
    __doc__,
    "--kafka-version",
    "--port",
    "--zookeeper-port",
    fresh={"action": "store_true", "help": "delete the data of an earlier start first"},
)

import psutil

from reproduction.observe import note
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import embedded
from tfkafka.testing.brokers.folder import BrokerFolder
from tfkafka.testing.brokers.jars import read_lock

folder = _common.kafka_folder(arguments)
uses_zookeeper = read_lock(arguments.kafka_version).uses_zookeeper
zookeeper_port = arguments.zookeeper_port or (2181 if uses_zookeeper else None)
if zookeeper_port == arguments.port:
    raise BrokerError(f"--port and --zookeeper-port are both {zookeeper_port}: must differ")
if arguments.fresh:
    BrokerFolder(folder).remove()

# The tutorial waits for ten seconds; a metadata request that is answered says more.
print(f"Starting Kafka {arguments.kafka_version} ...")
broker = embedded.start(
    folder, arguments.kafka_version, arguments.port, zookeeper_port, die_with_parent=False
)

# The tutorial's `ps -ef | grep kafka`: a Java process each for ZooKeeper and for the broker.
mains = []
for process in reversed(broker.state.processes()):
    main_class = psutil.Process(process.pid).cmdline()[-2]
    print(f"  pid {process.pid}: java ... {main_class}")
    mains.append(main_class.removeprefix("org.apache.zookeeper.server.quorum."))

observed = {
    "run.kafka": broker.version,
    "run.zookeeper": uses_zookeeper,
    "kafka.processes": mains,
}
note(arguments, observed)
answers = f"Kafka {broker.version} answers at {broker.bootstrap_servers}."
_common.end(arguments, answers, "03_create_topics.py")
