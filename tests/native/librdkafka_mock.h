// What mock_cluster.cc uses of rdkafka.h and rdkafka_mock.h, besides the product's librdkafka.h.
#ifndef TFKAFKA_TESTS_LIBRDKAFKA_MOCK_H
#define TFKAFKA_TESTS_LIBRDKAFKA_MOCK_H

#include "../../tfkafka/native/librdkafka.h"

struct rd_kafka_topic_partition_t {
  char* topic;
  int32_t partition;
  int64_t offset;
  // Others follow.
};
struct rd_kafka_list_t;
struct rd_kafka_mock_t;

// Name, result, arguments.
#define FUNCTIONS(F)                                                                               \
  F(rd_kafka_conf_new, rd_kafka_conf_t*, ())                                                       \
  F(rd_kafka_conf_set, int, (rd_kafka_conf_t*, const char*, const char*, char*, size_t))           \
  F(rd_kafka_conf_set_error_cb, void, (rd_kafka_conf_t*, OnError))                                 \
  F(rd_kafka_new, rd_kafka_t*, (int, rd_kafka_conf_t*, char*, size_t))                             \
  F(rd_kafka_destroy, void, (rd_kafka_t*))                                                         \
  F(rd_kafka_producev, int, (rd_kafka_t*, ...))                                                    \
  F(rd_kafka_flush, int, (rd_kafka_t*, int))                                                       \
  F(rd_kafka_poll, int, (rd_kafka_t*, int))                                                        \
  F(rd_kafka_outq_len, int, (rd_kafka_t*))                                                         \
  F(rd_kafka_poll_set_consumer, int, (rd_kafka_t*))                                                \
  F(rd_kafka_consumer_poll, rd_kafka_message_t*, (rd_kafka_t*, int))                               \
  F(rd_kafka_consumer_close, int, (rd_kafka_t*))                                                   \
  F(rd_kafka_message_destroy, void, (rd_kafka_message_t*))                                         \
  F(rd_kafka_message_errstr, const char*, (const rd_kafka_message_t*))                             \
  F(rd_kafka_assign, int, (rd_kafka_t*, rd_kafka_list_t*))                                         \
  F(rd_kafka_seek_partitions, void*, (rd_kafka_t*, rd_kafka_list_t*, int))                         \
  F(rd_kafka_pause_partitions, int, (rd_kafka_t*, rd_kafka_list_t*))                               \
  F(rd_kafka_resume_partitions, int, (rd_kafka_t*, rd_kafka_list_t*))                              \
  F(rd_kafka_topic_partition_list_new, rd_kafka_list_t*, (int))                                    \
  F(rd_kafka_topic_partition_list_destroy, void, (rd_kafka_list_t*))                               \
  F(rd_kafka_topic_partition_list_add, rd_kafka_topic_partition_t*,                                \
    (rd_kafka_list_t*, const char*, int32_t))                                                      \
  F(rd_kafka_handle_mock_cluster, rd_kafka_mock_t*, (rd_kafka_t*))                                 \
  F(rd_kafka_mock_push_request_errors_array, void, (rd_kafka_mock_t*, int16_t, size_t, const int*)) \
  F(rd_kafka_mock_cluster_bootstraps, const char*, (rd_kafka_mock_t*))                             \
  F(rd_kafka_mock_topic_create, int, (rd_kafka_mock_t*, const char*, int, int))

inline struct Functions {
#define F(name, result, arguments) result(*name) arguments;
  FUNCTIONS(F)
#undef F
} kafka;

#endif
