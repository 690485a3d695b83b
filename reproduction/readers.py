"""Who reads from Kafka: the module of each --reader, and what it is called."""

MODULES = {"tfio": "tensorflow_io", "tfkafka": "tfkafka.tfio"}
NAMES = {"tfio": "tensorflow-io", "tfkafka": "tfkafka"}
