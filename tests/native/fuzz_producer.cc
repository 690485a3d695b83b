// Fuzzes what tk_produce gives to librdkafka, and what is noted of records that were not written.
//
// fuzz_producer SECONDS SEED
//
// This program takes librdkafka's place: the library finds the functions below in it. They check
// that each record comes once, in order and byte by byte, from arrays of exact size; refuse some of
// them; and acknowledge others with errors.
#include <deque>

#include "client.h"
#include "records.h"

namespace {

enum { RKT = 2, PARTITION = 3, VALUE = 4, KEY = 5, MSGFLAGS = 7, HEADER = 9 };
constexpr int COPY = 2, QUEUE_FULL = -184, NO_TOPIC = -186;

struct Record {
  Bytes key, value;
  std::vector<Bytes> headers;
};

}  // namespace

struct rd_kafka_topic_t {
  std::string name;
};
struct rd_kafka_error_t {
  int code;
};

namespace {

struct World {
  Random random{0};
  std::deque<Record> to_come;
  std::vector<std::string> names;  // of headers
  int32_t partition = 0;
  int64_t topics = 0, errors = 0, one_refusal_in = 0;
} world;

Bytes bytes(const void* at, size_t size) {
  if (!at) return {};
  return std::string(static_cast<const char*>(at), size);
}

}  // namespace

extern "C" {
rd_kafka_topic_t* rd_kafka_topic_new(rd_kafka_t*, const char* name, void*) {
  if (world.random.one_in(30)) return nullptr;
  world.topics++;
  return new rd_kafka_topic_t{name};
}
void rd_kafka_topic_destroy(rd_kafka_topic_t* topic) {
  world.topics--;
  delete topic;
}
int rd_kafka_last_error() { return NO_TOPIC; }
rd_kafka_error_t* rd_kafka_produceva(rd_kafka_t*, const rd_kafka_vu_t* parts, size_t count) {
  CHECK(count == 5 + world.names.size(), "%zu parts", count);
  CHECK(!world.to_come.empty(), "one record too many");
  const Record& record = world.to_come.front();
  CHECK(parts[0].vtype == RKT && parts[0].u.rkt->name == "topic", "the topic");
  CHECK(parts[1].vtype == MSGFLAGS && parts[1].u.i == COPY, "the flags");
  CHECK(parts[2].vtype == PARTITION && parts[2].u.i32 == world.partition, "the partition");
  CHECK(parts[3].vtype == VALUE && bytes(parts[3].u.mem.ptr, parts[3].u.mem.size) == record.value,
        "the value");
  CHECK(parts[4].vtype == KEY && bytes(parts[4].u.mem.ptr, parts[4].u.mem.size) == record.key,
        "the key");
  for (size_t i = 0; i < world.names.size(); i++) {
    const auto& header = parts[5 + i].u.header;
    CHECK(parts[5 + i].vtype == HEADER && header.name == world.names[i] && header.size >= 0 &&
              bytes(header.value, header.size) == record.headers[i], "header %zu", i);
  }
  if (world.random.one_in(world.one_refusal_in)) {
    world.errors++;
    return new rd_kafka_error_t{world.random.one_in(2) ? QUEUE_FULL : 10};
  }
  world.to_come.pop_front();
  return nullptr;
}
int rd_kafka_error_code(const rd_kafka_error_t* error) { return error->code; }
void rd_kafka_error_destroy(rd_kafka_error_t* error) {
  world.errors--;
  delete error;
}
}

namespace {

// A column as TkBytes has it, with bytes of other records around, as a slice has.
struct Column {
  Column(Random& random, const std::vector<Bytes>& entries)
      : buffer(0), offsets(entries.size() + 1), nulls(entries.size()) {
    std::string joined = random.bytes(random.between(0, 9));
    for (size_t i = 0; i < entries.size(); i++) {
      offsets[i] = joined.size();
      nulls[i] = !entries[i];
      joined += entries[i].value_or("");
    }
    offsets[entries.size()] = joined.size();
    buffer = exactly(joined + random.bytes(random.between(0, 9)));
  }
  TkBytes view() const { return {buffer.data(), offsets.data(), nulls.data()}; }
  Exactly<uint8_t> buffer;
  Exactly<int64_t> offsets;
  Exactly<uint8_t> nulls;
};

int64_t produce(Client& client, Random& random) {
  const int64_t count = random.between(0, random.one_in(4) ? 3000 : 100);
  const bool has_keys = !random.one_in(4);
  world.names.resize(random.between(0, TK_MOST_HEADERS));
  for (std::string& name : world.names)
    name.assign(random.between(0, 9), static_cast<char>(random.between('a', 'z')));
  world.partition = static_cast<int32_t>(random.between(-1, 9));
  world.one_refusal_in = random.one_in(2) ? 5 : 500;
  std::vector<Bytes> values(count), keys(count);
  std::vector<std::vector<Bytes>> of_headers(world.names.size(), std::vector<Bytes>(count));
  for (int64_t i = 0; i < count; i++) {
    values[i] = some_bytes(random, random.one_in(200) ? 90000 : 60);
    if (has_keys) keys[i] = some_bytes(random, random.one_in(50) ? 5000 : 9);
    Record record{keys[i], values[i], {}};
    for (auto& column : of_headers) record.headers.push_back(column[i] = some_bytes(random, 20));
    world.to_come.push_back(record);
  }
  std::vector<Column> columns;
  for (const auto& entries : of_headers) columns.emplace_back(random, entries);
  Exactly<TkHeader> headers(columns.size());
  for (size_t i = 0; i < columns.size(); i++)
    headers[i] = {world.names[i].c_str(), columns[i].view()};
  const Column of_values(random, values), of_keys(random, keys);
  TkProduce call = {count, of_values.view(), has_keys ? of_keys.view() : TkBytes{}, headers.data(),
                    static_cast<int32_t>(columns.size()), world.partition, 0, 0};
  do {
    const int64_t before = call.taken;
    tk_produce(client.handle, "topic", &call);
    CHECK(call.taken >= before && count - call.taken == static_cast<int64_t>(world.to_come.size()),
          "%ld of %ld are said to be taken", call.taken, count);
    CHECK(call.code == 0 || call.code == QUEUE_FULL || call.code == 10 || call.code == NO_TOPIC,
          "code %d", call.code);
    // Without a topic no records at all are refused, too.
    CHECK((call.code == 0) == (call.taken == count) || (!count && call.code == NO_TOPIC),
          "code %d", call.code);
  } while (call.code);
  CHECK(!world.topics && !world.errors, "not all is destroyed");
  return count;
}

void check_quoted(const uint8_t* start, int64_t size, const Bytes& whole) {
  CHECK(size == (whole ? static_cast<int64_t>(whole->size()) : -1), "%ld bytes", size);
  const int64_t kept = std::min(size, TK_QUOTED);
  if (kept > 0) CHECK(!memcmp(start, whole->data(), kept), "its first bytes");
}

void acknowledge(Client& client, Random& random) {
  const int64_t count = random.between(0, 9);
  std::vector<Record> failed;
  std::vector<int> codes;
  for (int64_t i = 0; i < count; i++) {
    Record record{some_bytes(random, 200), some_bytes(random, 200), {}};
    const Exactly<uint8_t> key = exactly(record.key.value_or(""));
    const Exactly<uint8_t> value = exactly(record.value.value_or(""));
    rd_kafka_message_t message = {};
    message.err = random.one_in(2) ? 0 : static_cast<int>(random.between(-200, 99));
    if (record.key) message.key = key.data(), message.key_len = key.size;
    if (record.value) message.payload = value.data(), message.len = value.size;
    CHECK(!client.client.on_acknowledgement(&client.client, &message, client.client.opaque), "it");
    if (message.err) failed.push_back(record), codes.push_back(message.err);
  }
  TkFailures found;
  tk_take_failures(client.handle, &found);
  CHECK(found.count == static_cast<int64_t>(failed.size()), "%ld failures", found.count);
  for (int64_t i = 0; i < std::min<int64_t>(found.count, TK_FAILURES); i++) {
    CHECK(found.first[i].code == codes[i], "the code of %ld", i);
    check_quoted(found.first[i].key, found.first[i].key_size, failed[i].key);
    check_quoted(found.first[i].value, found.first[i].value_size, failed[i].value);
  }
}

int64_t fuzz(uint64_t seed) {
  Random& random = world.random = Random(seed);
  Client client(PRODUCER);
  int64_t records = 0;
  for (int64_t calls = random.between(1, 3); calls > 0; calls--) {
    records += produce(client, random);
    acknowledge(client, random);
  }
  return records;
}

}  // namespace

int main(int argc, char** argv) {
  find_functions();
  return repeat(argc, argv, fuzz);
}
