// Fuzzes the layout of records and headers that tk_fill writes.
//
// fuzz_filler SECONDS SEED
//
// This program takes librdkafka's place: the filler finds the functions below in it. They deliver
// random records and errors, whose memory is exact. A round checks that each of them comes once, in
// order and byte by byte, into arrays of random sizes; that the filler asks for no more than it
// can hold; and that each message and each queue is destroyed once. mock_cluster.cc has the real
// librdkafka, which could not deliver as much in the same time.
#include <deque>
#include <map>
#include <utility>

#include "client.h"
#include "records.h"

namespace {

constexpr int PARTITION_END = -191;
constexpr size_t MOST_AT_ONCE = 1024;

using Headers = std::vector<std::pair<std::string, Bytes>>;

struct Record {
  Bytes key, value;
  Headers headers;
  int32_t source, epoch;
  int64_t offset, timestamp;
  bool has_timestamp;
  int err;  // an event's
};

}  // namespace

struct rd_kafka_topic_t {
  const char* name;
};
struct rd_kafka_queue_t {
  int references;
};
struct rd_kafka_headers_t {
  const Headers* all;
};

namespace {

// What librdkafka delivers: memory of its own, until it is destroyed.
struct Message : rd_kafka_message_t {
  explicit Message(const Record& record);
  Record record;
  Exactly<uint8_t> key_bytes, value_bytes;
  rd_kafka_headers_t headers;
};

constexpr int PARTITIONS = 5;
// As in librdkafka, topics of the same name may have several handles.
rd_kafka_topic_t topics[] = {{"a"}, {"b"}, {"a"}};
rd_kafka_topic_t unknown_topic = {"unknown"};

struct World {
  Random random{0};
  std::deque<Record> to_come;
  int64_t alive = 0;  // messages
  rd_kafka_queue_t queue{0};
  int64_t partition_queues = 0;
} world;

Message::Message(const Record& record)
    : rd_kafka_message_t{},
      record(record),
      key_bytes(exactly(record.key.value_or(""))),
      value_bytes(exactly(record.value.value_or(""))),
      headers{&this->record.headers} {
  err = record.err;
  // A source is a topic and a partition; -1: an error of the client, -2: a partition not forwarded.
  if (record.source != -1) rkt = record.source < 0 ? &unknown_topic : &topics[record.source % 3];
  partition = record.source / 3;
  offset = record.offset;
  if (record.value) payload = value_bytes.data();
  if (record.key) key = key_bytes.data();
  len = value_bytes.size;
  key_len = key_bytes.size;
  world.alive++;
}

// The index that the filler has given to the source: the first and the third topic have one name.
std::vector<int32_t> index_of;

Headers some_headers(Random& random) {
  Headers headers(random.one_in(2) ? 0 : random.between(1, 4));
  for (auto& [name, value] : headers) {
    name.assign(random.between(0, 9), static_cast<char>(random.between('a', 'z')));
    value = some_bytes(random, random.one_in(20) ? 2000 : 20);
  }
  return headers;
}

Record some_record(Random& random, int64_t offset, int64_t one_event_in) {
  Record record{some_bytes(random, random.one_in(50) ? 5000 : 9),
                some_bytes(random, random.one_in(200) ? 90000 : 60),
                some_headers(random),
                static_cast<int32_t>(random.between(0, 3 * PARTITIONS - 1)),
                static_cast<int32_t>(random.between(-1, 1)),
                offset,
                static_cast<int64_t>(random.bits()),
                !random.one_in(4),
                0};
  if (random.one_in(one_event_in)) {
    record.err = random.one_in(2) ? PARTITION_END : static_cast<int>(random.between(1, 99));
    record.source = static_cast<int32_t>(random.between(-2, 3 * PARTITIONS - 1));
    if (record.source == -2 && random.one_in(2)) record.err = 0;
    record.value = std::string(random.between(0, 900), 'r');  // its reason
  }
  return record;
}

}  // namespace

extern "C" {
rd_kafka_queue_t* rd_kafka_queue_new(rd_kafka_t*) {
  world.queue.references++;
  return &world.queue;
}
rd_kafka_queue_t* rd_kafka_queue_get_partition(rd_kafka_t*, const char*, int32_t) {
  world.partition_queues++;
  return new rd_kafka_queue_t{1};
}
void rd_kafka_queue_forward(rd_kafka_queue_t* from, rd_kafka_queue_t* to) {
  CHECK(from->references == 1 && to == &world.queue, "a wrong queue is forwarded");
}
void rd_kafka_queue_destroy(rd_kafka_queue_t* queue) {
  CHECK(queue->references-- == 1, "a queue is destroyed twice");
  if (queue == &world.queue) return;
  world.partition_queues--;
  delete queue;
}
ssize_t rd_kafka_consume_batch_queue(rd_kafka_queue_t* queue, int, rd_kafka_message_t** out,
                                     size_t most) {
  CHECK(queue == &world.queue && most <= MOST_AT_ONCE, "%zu messages are asked for", most);
  if (world.random.one_in(20)) return world.random.one_in(2) ? 0 : -1;
  if (world.random.one_in(3)) most = world.random.between(0, most);
  size_t taken = 0;
  for (; taken < most && !world.to_come.empty(); taken++, world.to_come.pop_front())
    out[taken] = new Message(world.to_come.front());
  return taken;
}
void rd_kafka_message_destroy(rd_kafka_message_t* message) {
  world.alive--;
  delete static_cast<Message*>(message);
}
int64_t rd_kafka_message_timestamp(const rd_kafka_message_t* message, int* type) {
  const Record& record = static_cast<const Message*>(message)->record;
  *type = record.has_timestamp ? 1 : 0;
  return record.timestamp;
}
int32_t rd_kafka_message_leader_epoch(const rd_kafka_message_t* message) {
  return static_cast<const Message*>(message)->record.epoch;
}
int rd_kafka_message_headers(const rd_kafka_message_t* message, rd_kafka_headers_t** headers) {
  auto* own = static_cast<const Message*>(message);
  *headers = const_cast<rd_kafka_headers_t*>(&own->headers);
  return own->record.headers.empty() ? -156 : 0;  // there are none
}
const char* rd_kafka_message_errstr(const rd_kafka_message_t* message) {
  const Bytes& reason = static_cast<const Message*>(message)->record.value;
  return reason ? reason->c_str() : nullptr;
}
int rd_kafka_header_get_all(const rd_kafka_headers_t* headers, size_t i, const char** name,
                            const void** value, size_t* size) {
  if (i >= headers->all->size()) return -156;
  const auto& [its_name, its_value] = (*headers->all)[i];
  *name = its_name.c_str();
  *value = its_value ? its_value->data() : nullptr;
  *size = its_value ? its_value->size() : 0;
  return 0;
}
const char* rd_kafka_topic_name(const rd_kafka_topic_t* topic) { return topic->name; }
}

namespace {

std::string layout_of(const Headers& headers) {
  std::string made;
  for (const auto& [name, value] : headers) add_part(made, name), add_part(made, value);
  return made;
}

void check_entry(const Exactly<uint8_t>& bytes, const Exactly<int64_t>& offsets, int64_t i,
                 const std::string& expected) {
  CHECK(offsets[0] == 0 && offsets[i + 1] - offsets[i] == static_cast<int64_t>(expected.size()),
        "record %ld has %ld bytes instead of %zu", i, offsets[i + 1] - offsets[i], expected.size());
  CHECK(!memcmp(bytes.data() + offsets[i], expected.data(), expected.size()), "record %ld", i);
}

// What is expected of the calls of one round.
struct Expected {
  std::deque<Record> records, events;
  std::map<int32_t, int32_t> epochs;  // of each index of the filler

  void check(const Arrays& got) {
    const TkFill& fill = got.fill;
    CHECK(fill.records <= static_cast<int64_t>(records.size()), "%ld records", fill.records);
    int32_t note = 0;
    for (int64_t i = 0; i < fill.records; i++, records.pop_front()) {
      const Record& record = records.front();
      check_entry(got.values, got.value_offsets, i, record.value.value_or(""));
      check_entry(got.keys, got.key_offsets, i, record.key.value_or(""));
      CHECK(got.value_nulls[i] == !record.value && got.key_nulls[i] == !record.key, "%ld", i);
      const int32_t source = index_of[record.source];
      CHECK(got.sources[i] == source && got.offsets[i] == record.offset, "record %ld", i);
      if (fill.headers) check_entry(got.headers, got.header_offsets, i, layout_of(record.headers));
      if (fill.timestamps)
        CHECK(got.timestamps[i] == (record.has_timestamp ? record.timestamp : -1), "%ld", i);
      if (epochs.count(source) && epochs[source] == record.epoch) continue;
      const TkEpoch& epoch = got.epochs[note++];
      CHECK(note <= fill.epoch_count && epoch.offset == record.offset && epoch.source == source &&
                epoch.epoch == record.epoch, "the epoch of record %ld", i);
      epochs[source] = record.epoch;
    }
    CHECK(note == fill.epoch_count, "%d epochs, %d are returned", note, fill.epoch_count);
    for (int32_t i = 0; i < fill.event_count; i++, events.pop_front()) {
      const Record& event = events.front();
      const int32_t source = event.source < 0 ? -1 : index_of[event.source];
      CHECK(got.events[i].source == source && got.events[i].code == event.err &&
                got.events[i].offset == event.offset, "event %d", i);
      const std::string reason = event.value->substr(0, sizeof got.events[i].reason - 1);
      CHECK(got.events[i].reason == (event.err ? reason : ""), "event %d", i);
    }
  }
};

// Room for the next call: at random, or as much as the last one lacked.
int64_t room(Random& random, bool is_needed, const TkFill& last, int64_t used) {
  const int64_t any = random.between(0, random.one_in(2) ? 200 : 100000);
  return is_needed ? std::max(any, last.needed - used) : any;
}

int64_t fuzz(uint64_t seed) {
  Random& random = world.random = Random(seed);
  Expected expected;
  const int64_t count = random.between(0, random.one_in(4) ? 3000 : 200);
  Client client(CONSUMER);
  void* reader = tk_open(client.handle);
  for (int32_t source = 0; source < 3 * PARTITIONS; source++)
    index_of.push_back(tk_forward(reader, topics[source % 3].name, source / 3));
  const int64_t one_event_in = random.one_in(4) ? 2 : 10;
  for (int64_t offset = 0; offset < count; offset++) {
    world.to_come.push_back(some_record(random, offset, one_event_in));
    const Record& record = world.to_come.back();
    (record.err || record.source < 0 ? expected.events : expected.records).push_back(record);
  }
  const bool gives_up = random.one_in(5), metadata = random.one_in(2);
  Arrays last(0, 0, 0, 0, false);
  last.fill.end = TK_DRAINED;
  while (!expected.records.empty() || !expected.events.empty()) {
    if (gives_up && random.one_in(9)) break;
    const TkFill& was = last.fill;
    const int64_t records = random.between(1, random.one_in(2) ? 9 : 2000);
    const int64_t n = std::max<int64_t>(was.records, 0);
    Arrays next(records, room(random, was.end == TK_VALUES, was, last.value_offsets[n]),
                room(random, was.end == TK_KEYS, was, last.key_offsets[n]),
                room(random, was.end == TK_HEADERS, was, last.header_offsets[n]), metadata);
    tk_fill(reader, &next.fill, static_cast<int32_t>(random.between(0, 30)), 0);
    CHECK(next.fill.end >= TK_DRAINED && next.fill.end <= TK_NOTES, "it ends %d", next.fill.end);
    expected.check(next);
    std::swap(last, next);
  }
  tk_close(reader);
  CHECK(world.alive == 0, "%ld messages were not destroyed", world.alive);
  CHECK(!world.queue.references && !world.partition_queues, "a queue was not destroyed");
  world.to_come.clear();
  index_of.clear();
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  find_functions();
  return repeat(argc, argv, fuzz);
}
