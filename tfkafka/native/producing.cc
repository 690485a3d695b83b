// Puts columns of records into the queue of a confluent_kafka.Producer, without Python's lock.
//
// confluent-kafka keeps the client: it configures, begins and commits transactions, and calls back.
// Its callback for acknowledgements passes over these records, since they have no opaque; so their
// failures are noted here. The client's queue of events is never read: that is left to
// confluent_kafka.Producer.poll, in whose callbacks the process would abort otherwise.

#include <cstring>

#include "clients.h"

namespace {

// As rdkafka.h has them.
enum { RKT = 2, PARTITION = 3, VALUE = 4, KEY = 5, MSGFLAGS = 7, HEADER = 9 };
constexpr int COPY = 2;  // RD_KAFKA_MSG_F_COPY
constexpr int PARTS = 5;  // of a record, before its headers

struct Bytes {
  const uint8_t* at;  // null: null
  int64_t size;
};

Bytes entry(const TkBytes& column, int64_t i) {
  if (!column.offsets || column.nulls[i]) return {nullptr, 0};
  return {column.buffer + column.offsets[i], column.offsets[i + 1] - column.offsets[i]};
}

void set(rd_kafka_vu_t& part, Bytes bytes) {
  part.u.mem.ptr = const_cast<uint8_t*>(bytes.at);
  part.u.mem.size = static_cast<size_t>(bytes.size);
}

int32_t code_of(rd_kafka_error_t* error) {
  if (!error) return 0;
  int32_t code = kafka.rd_kafka_error_code(error);
  kafka.rd_kafka_error_destroy(error);
  return code;
}

void copy_start(uint8_t* out, const void* bytes, int64_t size) {
  if (size > 0) memcpy(out, bytes, size < TK_QUOTED ? size : TK_QUOTED);
}

}  // namespace

// librdkafka's threads call this, and a thread of Python's where a record is refused at once.
int on_acknowledgement(rd_kafka_t*, rd_kafka_message_t* message, void* opaque) {
  if (!message->err) return 0;
  auto* client = static_cast<Client*>(opaque);
  pthread_mutex_lock(&client->lock);
  TkFailures& failures = client->failures;
  if (failures.count < TK_FAILURES) {
    TkFailure& failure = failures.first[failures.count];
    failure.code = message->err;
    failure.key_size = message->key ? static_cast<int64_t>(message->key_len) : -1;
    failure.value_size = message->payload ? static_cast<int64_t>(message->len) : -1;
    copy_start(failure.key, message->key, failure.key_size);
    copy_start(failure.value, message->payload, failure.value_size);
  }
  failures.count++;
  pthread_mutex_unlock(&client->lock);
  return 0;
}

void tk_take_failures(void* handle, TkFailures* out) {
  auto* client = static_cast<Client*>(handle);
  pthread_mutex_lock(&client->lock);
  *out = client->failures;
  client->failures.count = 0;
  pthread_mutex_unlock(&client->lock);
}

void tk_produce(void* handle, const char* topic, TkProduce* call) {
  rd_kafka_t* client = static_cast<Client*>(handle)->kafka;
  // One that outlasts the call would have to be destroyed before the client.
  rd_kafka_topic_t* rkt = kafka.rd_kafka_topic_new(client, topic, nullptr);
  call->code = rkt ? 0 : kafka.rd_kafka_last_error();
  if (!rkt) return;
  rd_kafka_vu_t parts[PARTS + TK_MOST_HEADERS];
  parts[0].vtype = RKT;
  parts[0].u.rkt = rkt;
  parts[1].vtype = MSGFLAGS;
  parts[1].u.i = COPY;
  parts[2].vtype = PARTITION;
  parts[2].u.i32 = call->partition;
  parts[3].vtype = VALUE;
  parts[4].vtype = KEY;
  for (int32_t j = 0; j < call->header_count; j++) {
    parts[PARTS + j].vtype = HEADER;
    parts[PARTS + j].u.header.name = call->headers[j].name;
  }
  for (; call->taken < call->records; call->taken++) {
    set(parts[3], entry(call->values, call->taken));
    set(parts[4], entry(call->keys, call->taken));
    for (int32_t j = 0; j < call->header_count; j++) {
      Bytes value = entry(call->headers[j].values, call->taken);
      parts[PARTS + j].u.header.value = value.at;
      parts[PARTS + j].u.header.size = static_cast<ssize_t>(value.size);
    }
    call->code = code_of(kafka.rd_kafka_produceva(client, parts, PARTS + call->header_count));
    if (call->code) break;
  }
  kafka.rd_kafka_topic_destroy(rkt);
}
