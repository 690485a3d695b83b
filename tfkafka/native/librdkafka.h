// The part of librdkafka's public C interface (rdkafka.h, since version 1.6) that is used here. Its
// functions are looked up when the library is loaded: there is nothing to link with.
#ifndef TFKAFKA_LIBRDKAFKA_H
#define TFKAFKA_LIBRDKAFKA_H

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

struct rd_kafka_t;
struct rd_kafka_topic_t;
struct rd_kafka_queue_t;
struct rd_kafka_conf_t;
struct rd_kafka_headers_t;
struct rd_kafka_error_t;

struct rd_kafka_message_t {
  int err;
  rd_kafka_topic_t* rkt;
  int32_t partition;
  void* payload;
  size_t len;
  void* key;
  size_t key_len;
  int64_t offset;
  void* _private;
};

// A part of a record to write.
struct rd_kafka_vu_t {
  int vtype;
  union {
    rd_kafka_topic_t* rkt;
    int i;
    int32_t i32;
    struct {
      void* ptr;
      size_t size;
    } mem;
    struct {
      const char* name;
      const void* value;
      ssize_t size;
    } header;
    char padding[64];
  } u;
};

using OnNew = int (*)(rd_kafka_t*, const rd_kafka_conf_t*, void*, char*, size_t);
using OnError = void (*)(rd_kafka_t*, int, const char*, void*);
using OnConfDestroy = int (*)(void*);
using OnAcknowledgement = int (*)(rd_kafka_t*, rd_kafka_message_t*, void*);

// Name, result, arguments.
#define TK_LIBRDKAFKA(F)                                                                          \
  F(rd_kafka_version, int, ())                                                                    \
  F(rd_kafka_conf_new, rd_kafka_conf_t*, ())                                                      \
  F(rd_kafka_conf_get, int, (const rd_kafka_conf_t*, const char*, char*, size_t*))                \
  F(rd_kafka_conf_destroy, void, (rd_kafka_conf_t*))                                              \
  F(rd_kafka_conf_set_error_cb, void, (rd_kafka_conf_t*, OnError))                                \
  F(rd_kafka_conf_interceptor_add_on_new, int, (rd_kafka_conf_t*, const char*, OnNew, void*))     \
  F(rd_kafka_conf_interceptor_add_on_conf_destroy, int,                                           \
    (rd_kafka_conf_t*, const char*, OnConfDestroy, void*))                                        \
  F(rd_kafka_interceptor_add_on_acknowledgement, int,                                             \
    (rd_kafka_t*, const char*, OnAcknowledgement, void*))                                         \
  F(rd_kafka_type, int, (const rd_kafka_t*))                                                      \
  F(rd_kafka_last_error, int, ())                                                                 \
  F(rd_kafka_topic_new, rd_kafka_topic_t*, (rd_kafka_t*, const char*, void*))                     \
  F(rd_kafka_topic_destroy, void, (rd_kafka_topic_t*))                                            \
  F(rd_kafka_produceva, rd_kafka_error_t*, (rd_kafka_t*, const rd_kafka_vu_t*, size_t))           \
  F(rd_kafka_error_code, int, (const rd_kafka_error_t*))                                          \
  F(rd_kafka_error_destroy, void, (rd_kafka_error_t*))                                            \
  F(rd_kafka_queue_new, rd_kafka_queue_t*, (rd_kafka_t*))                                         \
  F(rd_kafka_queue_destroy, void, (rd_kafka_queue_t*))                                            \
  F(rd_kafka_queue_get_partition, rd_kafka_queue_t*, (rd_kafka_t*, const char*, int32_t))         \
  F(rd_kafka_queue_forward, void, (rd_kafka_queue_t*, rd_kafka_queue_t*))                         \
  F(rd_kafka_consume_batch_queue, ssize_t, (rd_kafka_queue_t*, int, rd_kafka_message_t**, size_t)) \
  F(rd_kafka_message_destroy, void, (rd_kafka_message_t*))                                        \
  F(rd_kafka_message_timestamp, int64_t, (const rd_kafka_message_t*, int*))                       \
  F(rd_kafka_message_leader_epoch, int32_t, (const rd_kafka_message_t*))                          \
  F(rd_kafka_message_headers, int, (const rd_kafka_message_t*, rd_kafka_headers_t**))             \
  F(rd_kafka_message_errstr, const char*, (const rd_kafka_message_t*))                            \
  F(rd_kafka_header_get_all, int,                                                                 \
    (const rd_kafka_headers_t*, size_t, const char**, const void**, size_t*))                     \
  F(rd_kafka_topic_name, const char*, (const rd_kafka_topic_t*))

#endif
