// Drains partitions of a confluent_kafka.Consumer into columns, without Python's lock.
//
// confluent-kafka keeps the client: it configures, assigns, commits and calls back. Only records,
// ends and errors of partitions come here, by a queue of our own that partitions forward to. The
// consumer's own queue is never read: confluent-kafka aborts the process if one of its callbacks is
// called by another thread's library than its own. See on_error for the one that a partition's queue
// can call.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "clients.h"

namespace {

// The callback that confluent-kafka gives each of its clients.
std::atomic<OnError> on_error_of_client{nullptr};
thread_local TkFill* filled_now = nullptr;

void put_event(TkFill& fill, int64_t offset, int32_t source, int code, const char* reason) {
  TkEvent& event = fill.events[fill.event_count++];
  event.offset = offset;
  event.source = source;
  event.code = code;
  snprintf(event.reason, sizeof event.reason, "%s", reason ? reason : "");
}

// Takes the place of the client's callback. librdkafka says by a partition's queue that the
// partition is not there (or not any more), and calls back for it as for an error of the whole client
// (rd_kafka_toppar_enq_error in 2.16).
void on_error(rd_kafka_t* client, int code, const char* reason, void* opaque) {
  if (!filled_now)
    on_error_of_client.load()(client, code, reason, opaque);
  else if (filled_now->event_count < TK_EVENTS)  // what is left out is said of other partitions
    put_event(*filled_now, -1, -1, code, reason);
}

OnError callback_of(const rd_kafka_conf_t* conf) {
  char text[64] = "";
  size_t size = sizeof text;
  void* callback = nullptr;
  if (kafka.rd_kafka_conf_get(conf, "error_cb", text, &size) || sscanf(text, "%p", &callback) != 1)
    return nullptr;
  return reinterpret_cast<OnError>(callback);
}

// Few enough messages at a time that their memory is still in the processor's cache when it is
// used again.
constexpr int PIECE = 1024;

// How often partitions are forwarded again until the first of their records is here.
constexpr int32_t FORWARD_MS = 10;
constexpr int PARTITION_END = -191;  // RD_KAFKA_RESP_ERR__PARTITION_EOF

struct Source {
  char* topic;
  int32_t partition;
  int32_t epoch;
  // Whether librdkafka may still forget the forward. It does when it stops fetching a partition,
  // which it does at some time after the partition was assigned again (rd_kafka_toppar_fetch_stop
  // in 2.16); what it fetches from then on would stay where nobody looks. A record or an end proves
  // that the stop is over: those of before the assignment are never delivered.
  bool is_starting;
};

constexpr int32_t NO_EPOCH_YET = -2;

struct Reader {
  rd_kafka_t* client;
  rd_kafka_queue_t* queue;
  Source* sources = nullptr;
  int32_t source_count = 0, source_capacity = 0;
  // The source of the last message of this call: the next one is mostly of the same.
  const rd_kafka_topic_t* last_topic = nullptr;
  int32_t last_partition = -1, last_source = -1;
  int taken = 0, at = 0;  // of `messages`
  rd_kafka_message_t* messages[PIECE];
};

int32_t find_source(const Reader& reader, const char* topic, int32_t partition) {
  for (int32_t i = 0; i < reader.source_count; i++)
    if (reader.sources[i].partition == partition && !strcmp(reader.sources[i].topic, topic))
      return i;
  return -1;
}

int32_t add_source(Reader& reader, const char* topic, int32_t partition) {
  if (reader.source_count == reader.source_capacity) {
    int32_t capacity = reader.source_capacity ? 2 * reader.source_capacity : 16;
    void* larger = realloc(reader.sources, capacity * sizeof(Source));
    if (!larger) return -1;
    reader.sources = static_cast<Source*>(larger);
    reader.source_capacity = capacity;
  }
  char* name = strdup(topic);
  if (!name) return -1;
  reader.sources[reader.source_count] = {name, partition, NO_EPOCH_YET, true};
  return reader.source_count++;
}

bool forward(Reader& reader, const Source& source) {
  rd_kafka_queue_t* queue =
      kafka.rd_kafka_queue_get_partition(reader.client, source.topic, source.partition);
  if (!queue) return false;
  kafka.rd_kafka_queue_forward(queue, reader.queue);
  kafka.rd_kafka_queue_destroy(queue);
  return true;
}

// Forwards those that are starting again, and returns whether there are any.
bool forward_starting(Reader& reader) {
  bool any = false;
  for (int32_t i = 0; i < reader.source_count; i++) {
    if (!reader.sources[i].is_starting) continue;
    forward(reader, reader.sources[i]);
    any = true;
  }
  return any;
}

int32_t source_of(Reader& reader, const rd_kafka_message_t& message) {
  if (!message.rkt) return -1;
  if (message.rkt != reader.last_topic || message.partition != reader.last_partition) {
    reader.last_source =
        find_source(reader, kafka.rd_kafka_topic_name(message.rkt), message.partition);
    reader.last_topic = message.rkt;
    reader.last_partition = message.partition;
  }
  return reader.last_source;
}

// The bytes of a record's headers, as TkFill has them; written to `out` where that is not null.
int64_t write_headers(const rd_kafka_message_t& message, uint8_t* out) {
  rd_kafka_headers_t* headers;
  if (kafka.rd_kafka_message_headers(&message, &headers)) return 0;
  int64_t size = 0;
  const char* name;
  const void* value;
  size_t value_size;
  for (size_t i = 0; !kafka.rd_kafka_header_get_all(headers, i, &name, &value, &value_size); i++) {
    const void* parts[] = {name, value};
    const int32_t sizes[] = {static_cast<int32_t>(strlen(name)),
                             value ? static_cast<int32_t>(value_size) : -1};
    for (int part = 0; part < 2; part++) {
      int32_t length = sizes[part] > 0 ? sizes[part] : 0;
      if (out) {
        memcpy(out + size, &sizes[part], sizeof(int32_t));
        if (length) memcpy(out + size + sizeof(int32_t), parts[part], length);
      }
      size += sizeof(int32_t) + length;
    }
  }
  return size;
}

// Fills the columns of one call.
class Filling {
 public:
  Filling(Reader& reader, TkFill& fill) : reader_(reader), fill_(fill) {
    reader_.last_topic = nullptr;
    fill_.records = fill_.needed = 0;
    fill_.epoch_count = fill_.event_count = 0;
    fill_.value_offsets[0] = fill_.key_offsets[0] = 0;
    if (fill_.headers) fill_.header_offsets[0] = 0;
  }

  int32_t run(int32_t timeout_ms, int32_t linger_ms) {
    if (reader_.at == reader_.taken) take_first(timeout_ms);
    int64_t wanted = 1;
    while (fill_.records < fill_.capacity || reader_.at < reader_.taken) {
      int got = reader_.taken - reader_.at;
      while (reader_.at < reader_.taken) {
        int32_t end = put(*reader_.messages[reader_.at]);
        if (end != TK_DRAINED) return end;
        kafka.rd_kafka_message_destroy(reader_.messages[reader_.at++]);
      }
      if (got < wanted) break;
      int64_t left = fill_.capacity - fill_.records;
      wanted = left < PIECE ? left : PIECE;
      take(wanted, linger_ms);
    }
    return TK_DRAINED;
  }

 private:
  // Waits for one: librdkafka would wait until a batch is full.
  void take_first(int32_t timeout_ms) {
    do {
      bool is_starting = forward_starting(reader_);
      int32_t wait_ms = is_starting && timeout_ms > FORWARD_MS ? FORWARD_MS : timeout_ms;
      take(1, wait_ms);
      timeout_ms -= wait_ms;
    } while (!reader_.taken && timeout_ms > 0);
  }

  void take(int64_t wanted, int32_t timeout_ms) {
    filled_now = &fill_;
    ssize_t taken = kafka.rd_kafka_consume_batch_queue(reader_.queue, timeout_ms, reader_.messages,
                                                       static_cast<size_t>(wanted));
    filled_now = nullptr;
    reader_.at = 0;
    reader_.taken = taken > 0 ? static_cast<int>(taken) : 0;
  }

  int32_t put(const rd_kafka_message_t& message) {
    int32_t source = source_of(reader_, message);
    if (source >= 0 && (!message.err || message.err == PARTITION_END))
      reader_.sources[source].is_starting = false;
    if (message.err || source < 0) return note_event(message, source);
    if (fill_.records == fill_.capacity) return TK_NOTES;
    int64_t i = fill_.records;
    int64_t values = fill_.value_offsets[i], keys = fill_.key_offsets[i], headers = 0;
    int64_t length = static_cast<int64_t>(message.len);
    int64_t key_length = static_cast<int64_t>(message.key_len);
    if (values + length > fill_.values_capacity) return full(TK_VALUES, values + length);
    if (keys + key_length > fill_.keys_capacity) return full(TK_KEYS, keys + key_length);
    if (fill_.headers) {
      headers = fill_.header_offsets[i] + write_headers(message, nullptr);
      if (headers > fill_.headers_capacity) return full(TK_HEADERS, headers);
    }
    if (!note_epoch(message, source)) return TK_NOTES;
    if (length) memcpy(fill_.values + values, message.payload, length);
    if (key_length) memcpy(fill_.keys + keys, message.key, key_length);
    fill_.value_offsets[i + 1] = values + length;
    fill_.key_offsets[i + 1] = keys + key_length;
    fill_.value_nulls[i] = !message.payload;
    fill_.key_nulls[i] = !message.key;
    fill_.sources[i] = source;
    fill_.offsets[i] = message.offset;
    if (fill_.headers) {
      write_headers(message, fill_.headers + fill_.header_offsets[i]);
      fill_.header_offsets[i + 1] = headers;
    }
    if (fill_.timestamps) {
      int type = 0;  // not available
      int64_t timestamp = kafka.rd_kafka_message_timestamp(&message, &type);
      fill_.timestamps[i] = type ? timestamp : -1;
    }
    fill_.records++;
    return TK_DRAINED;
  }

  int32_t full(TkEnd end, int64_t needed) {
    fill_.needed = needed;
    return end;
  }

  bool note_epoch(const rd_kafka_message_t& message, int32_t source) {
    int32_t epoch = kafka.rd_kafka_message_leader_epoch(&message);
    if (epoch == reader_.sources[source].epoch) return true;
    if (fill_.epoch_count == TK_EPOCHS) return false;
    fill_.epochs[fill_.epoch_count++] = {message.offset, source, epoch};
    reader_.sources[source].epoch = epoch;
    return true;
  }

  int32_t note_event(const rd_kafka_message_t& message, int32_t source) {
    if (fill_.event_count == TK_EVENTS) return TK_NOTES;
    const char* reason = message.err ? kafka.rd_kafka_message_errstr(&message) : nullptr;
    put_event(fill_, message.offset, source, message.err, reason);
    return TK_DRAINED;
  }

  Reader& reader_;
  TkFill& fill_;
};

}  // namespace

void replace_error_callback(const rd_kafka_conf_t* conf) {
  if (OnError callback = callback_of(conf)) {
    on_error_of_client = callback;
    kafka.rd_kafka_conf_set_error_cb(const_cast<rd_kafka_conf_t*>(conf), on_error);
  }
}

void* tk_open(void* client) {
  void* memory = malloc(sizeof(Reader));  // not by new: see clients.cc
  if (!memory) return nullptr;
  auto* reader = new (memory) Reader;
  reader->client = static_cast<Client*>(client)->kafka;
  reader->queue = kafka.rd_kafka_queue_new(reader->client);
  return reader;
}

void tk_close(void* handle) {
  auto* reader = static_cast<Reader*>(handle);
  while (reader->at < reader->taken)
    kafka.rd_kafka_message_destroy(reader->messages[reader->at++]);
  for (int32_t i = 0; i < reader->source_count; i++) free(reader->sources[i].topic);
  free(reader->sources);
  kafka.rd_kafka_queue_destroy(reader->queue);
  free(reader);
}

int32_t tk_forward(void* handle, const char* topic, int32_t partition) {
  auto& reader = *static_cast<Reader*>(handle);
  int32_t index = find_source(reader, topic, partition);
  if (index < 0) index = add_source(reader, topic, partition);
  if (index < 0 || !forward(reader, reader.sources[index])) return -1;
  reader.sources[index].epoch = NO_EPOCH_YET;
  reader.sources[index].is_starting = true;
  return index;
}

void tk_fill(void* reader, TkFill* fill, int32_t timeout_ms, int32_t linger_ms) {
  fill->end = Filling(*static_cast<Reader*>(reader), *fill).run(timeout_ms, linger_ms);
}
