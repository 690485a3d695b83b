#!/bin/bash
# Start a broker with the settings that the environment gives, by the official image's rule: strip
# KAFKA_, lower case, `_` is `.`, `__` is `_`, `___` is `-`. Variables about Java are not settings.
# Settings in a mounted file come first: of two with the same name, Kafka takes the last one.
set -euo pipefail

settings=/opt/kafka/config/server.properties
mounted=/mnt/shared/config/server.properties
java_variables=" KAFKA_HEAP_OPTS KAFKA_OPTS KAFKA_JVM_PERFORMANCE_OPTS "

if [[ -e $mounted ]]; then cat "$mounted"; fi > "$settings"
env -0 | while IFS='=' read -r -d '' name value; do
  [[ $name == KAFKA_* && $java_variables != *" $name "* ]] || continue
  key=${name#KAFKA_}
  key=${key,,}
  key=${key//_/.}
  key=${key//.../-}
  key=${key//../_}
  printf '%s=%s\n' "$key" "$value"
done >> "$settings"

kafka_java() {
  # Unquoted on purpose: these variables hold several options.
  # shellcheck disable=SC2086
  ${1} java ${KAFKA_HEAP_OPTS:--Xmx1G -Xms1G} ${KAFKA_OPTS:-} ${KAFKA_JVM_PERFORMANCE_OPTS:-} \
    -Djava.awt.headless=true -Dlog4j.configuration=file:/opt/kafka/config/log4j.properties \
    -cp '/opt/kafka/libs/*' "${@:2}"
}

kafka_java "" kafka.tools.StorageTool format --ignore-formatted \
  --cluster-id "${CLUSTER_ID:?}" --config "$settings"
# Java in the place of this shell, so that Docker's signals reach it.
kafka_java exec kafka.Kafka "$settings"
