// The least that a program in C does to read a partition: takes batches of messages, and drops them.
// The least that it does to write: calls produce for each record, and waits for acknowledgements.
//
// No link with librdkafka: its functions are found in the library that is named, as the native
// filler finds them.

#include <dlfcn.h>

#include <cstdio>

#include "librdkafka.h"

struct rd_kafka_topic_partition_list_t;

#define OF_CLIENT(F)                                                                              \
  F(rd_kafka_conf_set, int, (rd_kafka_conf_t*, const char*, const char*, char*, size_t))          \
  F(rd_kafka_new, rd_kafka_t*, (int, rd_kafka_conf_t*, char*, size_t))                            \
  F(rd_kafka_queue_get_consumer, rd_kafka_queue_t*, (rd_kafka_t*))                                \
  F(rd_kafka_topic_partition_list_new, rd_kafka_topic_partition_list_t*, (int))                   \
  F(rd_kafka_topic_partition_list_add, void*,                                                     \
    (rd_kafka_topic_partition_list_t*, const char*, int32_t))                                     \
  F(rd_kafka_topic_partition_list_set_offset, int,                                                \
    (rd_kafka_topic_partition_list_t*, const char*, int32_t, int64_t))                            \
  F(rd_kafka_topic_partition_list_destroy, void, (rd_kafka_topic_partition_list_t*))              \
  F(rd_kafka_poll_set_consumer, int, (rd_kafka_t*))                                               \
  F(rd_kafka_assign, int, (rd_kafka_t*, const rd_kafka_topic_partition_list_t*))                  \
  F(rd_kafka_consumer_close, int, (rd_kafka_t*))                                                  \
  F(rd_kafka_poll, int, (rd_kafka_t*, int))                                                       \
  F(rd_kafka_flush, int, (rd_kafka_t*, int))                                                      \
  F(rd_kafka_produce, int,                                                                        \
    (rd_kafka_topic_t*, int32_t, int, void*, size_t, const void*, size_t, void*))                 \
  F(rd_kafka_destroy, void, (rd_kafka_t*))

namespace {

struct Librdkafka {
#define F(name, result, arguments) result(*name) arguments;
  TK_LIBRDKAFKA(F)
  OF_CLIENT(F)
#undef F
};

constexpr int PRODUCER = 0, CONSUMER = 1;  // RD_KAFKA_PRODUCER, RD_KAFKA_CONSUMER
constexpr int COPY = 2;       // RD_KAFKA_MSG_F_COPY
constexpr int QUEUE_FULL = -184;
constexpr int BATCH = 1024;   // as many as the native filler takes
constexpr int WAIT_MS = 10000;

bool find(const char* path, Librdkafka& kafka, char* error, size_t size) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(error, size, "%s", dlerror());
    return false;
  }
#define F(name, result, arguments)                                                                \
  kafka.name = reinterpret_cast<result(*) arguments>(dlsym(library, #name));                      \
  if (!kafka.name) {                                                                              \
    snprintf(error, size, "%s has no %s", path, #name);                                           \
    return false;                                                                                 \
  }
  TK_LIBRDKAFKA(F)
  OF_CLIENT(F)
#undef F
  return true;
}

rd_kafka_t* open_client(const Librdkafka& kafka, int type, const char* const* settings, char* error,
                        size_t size) {
  rd_kafka_conf_t* conf = kafka.rd_kafka_conf_new();
  for (; settings[0]; settings += 2)
    if (kafka.rd_kafka_conf_set(conf, settings[0], settings[1], error, size)) return nullptr;
  return kafka.rd_kafka_new(type, conf, error, size);
}

void assign(const Librdkafka& kafka, rd_kafka_t* client, const char* topic) {
  rd_kafka_topic_partition_list_t* list = kafka.rd_kafka_topic_partition_list_new(1);
  kafka.rd_kafka_topic_partition_list_add(list, topic, 0);
  kafka.rd_kafka_topic_partition_list_set_offset(list, topic, 0, 0);
  kafka.rd_kafka_assign(client, list);
  kafka.rd_kafka_topic_partition_list_destroy(list);
}

int64_t drop(const Librdkafka& kafka, rd_kafka_queue_t* queue, int64_t records) {
  rd_kafka_message_t* messages[BATCH];
  int64_t dropped = 0;
  while (dropped < records) {
    int64_t left = records - dropped;
    ssize_t taken = kafka.rd_kafka_consume_batch_queue(queue, WAIT_MS, messages,
                                                       left < BATCH ? left : BATCH);
    if (taken <= 0) break;
    for (ssize_t i = 0; i < taken; i++) {
      dropped += !messages[i]->err;
      kafka.rd_kafka_message_destroy(messages[i]);
    }
  }
  return dropped;
}

}  // namespace

// Reads so many records of partition 0 and returns how many have come; -1: see `error`.
// `settings` are name, value, name, value, ..., and null after the last one.
extern "C" __attribute__((visibility("default"))) int64_t read_and_drop(
    const char* librdkafka, const char* const* settings, const char* topic, int64_t records,
    char* error, size_t size) {
  Librdkafka kafka;
  if (!find(librdkafka, kafka, error, size)) return -1;
  rd_kafka_t* client = open_client(kafka, CONSUMER, settings, error, size);
  if (!client) return -1;
  kafka.rd_kafka_poll_set_consumer(client);
  rd_kafka_queue_t* queue = kafka.rd_kafka_queue_get_consumer(client);
  assign(kafka, client, topic);
  int64_t dropped = drop(kafka, queue, records);
  kafka.rd_kafka_queue_destroy(queue);
  kafka.rd_kafka_consumer_close(client);
  kafka.rd_kafka_destroy(client);
  return dropped;
}

// Writes `count` records and returns how many are acknowledged; -1: see `error`. The value of
// record i is values[offsets[i]..offsets[i + 1]).
extern "C" __attribute__((visibility("default"))) int64_t write_and_flush(
    const char* librdkafka, const char* const* settings, const char* topic, const uint8_t* values,
    const int64_t* offsets, int64_t count, char* error, size_t size) {
  Librdkafka kafka;
  if (!find(librdkafka, kafka, error, size)) return -1;
  rd_kafka_t* client = open_client(kafka, PRODUCER, settings, error, size);
  if (!client) return -1;
  rd_kafka_topic_t* rkt = kafka.rd_kafka_topic_new(client, topic, nullptr);
  int64_t written = 0;
  for (int64_t i = 0; i < count;) {
    const int failed = kafka.rd_kafka_produce(rkt, -1, COPY,
                                              const_cast<uint8_t*>(values + offsets[i]),
                                              offsets[i + 1] - offsets[i], nullptr, 0, nullptr);
    if (!failed) {
      i++;
    } else if (kafka.rd_kafka_last_error() == QUEUE_FULL) {
      kafka.rd_kafka_poll(client, 10);
    } else {
      snprintf(error, size, "record %ld is refused", static_cast<long>(i));
      break;
    }
    written = i;
  }
  if (kafka.rd_kafka_flush(client, WAIT_MS)) written = 0;
  kafka.rd_kafka_topic_destroy(rkt);
  kafka.rd_kafka_destroy(client);
  return written;
}
