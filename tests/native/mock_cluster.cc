// Drives the native filler and the native producer over librdkafka's mock cluster as
// tfkafka/client/native_fill.py and native_produce.py do, without Python, for the sanitizers.
//
// mock_cluster LIBRDKAFKA PLUGIN SEED
//
// PLUGIN is the native library that this program is linked with: librdkafka loads it by its path.
#include <dlfcn.h>
#include <unistd.h>

#include <thread>

#include "mock_consumer.h"

namespace {

// Of rd_kafka_producev: what follows.
enum { END, TOPIC, PARTITION = 3, VALUE, KEY, FLAGS = 7, TIMESTAMP, HEADER };
constexpr int COPY = 2;
constexpr int ROUNDS = 40;
const char* const WRITTEN = "written";
constexpr int QUEUE_FULL = -184;
constexpr int16_t PRODUCE = 0;  // a request's key
constexpr int REFUSAL = 87;     // INVALID_RECORD

void* bytes(Bytes& some) { return some ? some->data() : nullptr; }
size_t size(const Bytes& some) { return some ? some->size() : 0; }

void produce(rd_kafka_t* producer, int32_t partition, Random& random) {
  Record record{some_bytes(random, random.one_in(90) ? 3000 : 20),
                some_bytes(random, random.one_in(90) ? 200000 : 100), "",
                random.between(1, 1LL << 40)};
  const std::string names[] = {"", "first", "second"};
  Bytes values[3];
  const int64_t count = random.one_in(2) ? 0 : 3;
  for (int64_t i = 0; i < count; i++) {
    values[i] = some_bytes(random, random.one_in(30) ? 900 : 9);
    add_part(record.headers, names[i]);
    add_part(record.headers, values[i]);
  }
  auto send = [&](auto... headers) {
    return kafka.rd_kafka_producev(
        producer, TOPIC, RECORDS, PARTITION, partition, FLAGS, COPY, VALUE, bytes(record.value),
        size(record.value), KEY, bytes(record.key), size(record.key), TIMESTAMP, record.timestamp,
        headers..., END);
  };
  auto length = [&](int i) { return static_cast<ssize_t>(size(values[i])); };
  const int error =
      count ? send(HEADER, names[0].c_str(), bytes(values[0]), length(0), HEADER, names[1].c_str(),
                   bytes(values[1]), length(1), HEADER, names[2].c_str(), bytes(values[2]),
                   length(2))
            : send();
  CHECK(!error, "error %d", error);
  records[partition].push_back(record);
}

void read_in_all_ways(Random& random) {
  Consumer consumer(RECORDS, PARTITIONS);
  consumer.assign();
  consumer.finish(random);
  for (int round = 0; round < ROUNDS; round++) {
    for (int32_t i = 0; i < PARTITIONS; i++) consumer.seek(i, random.between(0, RECORDS_EACH - 1));
    consumer.take(random, random.between(1, 500), 100);
    consumer.unassign();
    consumer.assign();
    consumer.take(random, random.between(1, 500), 100);
    const int32_t paused = static_cast<int32_t>(random.between(0, PARTITIONS - 1));
    consumer.pause(paused);
    consumer.finish(random, paused);
    consumer.resume(paused);
    consumer.finish(random);
  }
  for (int end = TK_DRAINED; end <= TK_HEADERS; end++)
    CHECK(consumer.seen[end], "no call ended with %d", end);
}

void read_empty_partitions(Random& random) {
  Consumer consumer(EMPTY, EMPTY_PARTITIONS);
  consumer.assign();
  consumer.finish(random);
}

void read_partitions_that_are_not_there(Random& random) {
  Consumer consumer(EMPTY, EMPTY_PARTITIONS + 2 * TK_EVENTS);
  consumer.assign();
  const uint64_t deadline = milliseconds() + PATIENCE_MS;
  while (!consumer.unknown) {
    consumer.take(random, 100, 100);
    CHECK(milliseconds() < deadline, "no error of them in %d s", PATIENCE_MS / 1000);
  }
}

void close_while_filling(Random& random) {
  for (int round = 0; round < ROUNDS; round++) {
    Consumer consumer(RECORDS, PARTITIONS);
    consumer.assign();
    std::atomic<int64_t> taken{0};
    Random own(random.bits());
    std::thread filling([&] {
      for (int64_t n = 0; n >= 0; n = consumer.take(own, 100, 50)) taken += n;
    });
    const uint64_t deadline = milliseconds() + PATIENCE_MS;
    for (const int64_t enough = random.between(0, 300); taken < enough; usleep(1000))
      CHECK(milliseconds() < deadline, "%ld records in %d s", taken.load(), PATIENCE_MS / 1000);
    consumer.queue.close();
    filling.join();
  }
}

// A producer with the plugin, a queue for few records, and what the library calls it.
struct Producer {
  Producer()
      : client(create(PRODUCER, {{"bootstrap.servers", address},
                                 {"linger.ms", "1"},
                                 {"queue.buffering.max.messages", "300"},
                                 {"log_level", "0"},
                                 {"delivery.report.only.error", "true"},
                                 {"plugin.library.paths", plugin}})),
        handle(tk_take_new_client()) {
    CHECK(handle, "the client is not shown");
  }
  // With whatever is in its queue.
  ~Producer() { kafka.rd_kafka_destroy(client); }

  void produce(Random& random) {
    const std::vector<std::string> entries(random.between(1, 2000), random.bytes(20));
    const Strings strings(entries);
    const Exactly<uint8_t> nulls(entries.size());
    const TkBytes bytes = {strings.buffer.data(), strings.offsets.data(), nulls.data()};
    const TkHeader header = {"name", bytes};
    TkProduce call = {static_cast<int64_t>(entries.size()), bytes, bytes, &header, 1, -1, 0, 0};
    do {
      tk_produce(handle, WRITTEN, &call);
      CHECK(!call.code || call.code == QUEUE_FULL, "code %d", call.code);
      if (call.code) kafka.rd_kafka_poll(client, 1);
    } while (call.code);
  }
  int64_t failures() {
    TkFailures found;
    tk_take_failures(handle, &found);
    return found.count;
  }

  rd_kafka_t* client;
  void* handle;
};

void write_in_all_ways(rd_kafka_mock_t* cluster, Random& random) {
  int64_t failed = 0;
  for (int round = 0; round < ROUNDS; round++) {
    Producer producer;
    const bool is_refused = random.one_in(2);
    if (is_refused) kafka.rd_kafka_mock_push_request_errors_array(cluster, PRODUCE, 1, &REFUSAL);
    Random one(random.bits()), other(random.bits());
    std::thread producing([&] { producer.produce(one); });
    producer.produce(other);
    failed += producer.failures();
    producing.join();
    if (random.one_in(4)) continue;
    CHECK(!kafka.rd_kafka_flush(producer.client, PATIENCE_MS), "not all records were written");
    const int64_t now = producer.failures();
    CHECK(is_refused || !now, "%ld records failed", now);
    failed += now;
  }
  CHECK(failed > 0, "no record was refused");
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 4, "usage: %s LIBRDKAFKA PLUGIN SEED", argv[0]);
  char error[512] = "";
  CHECK(tk_find_librdkafka(argv[1], error, sizeof error) > 0, "%s", error);
  void* library = dlopen(argv[1], RTLD_NOW);
#define F(name, result, arguments)                                            \
  kafka.name = reinterpret_cast<result(*) arguments>(dlsym(library, #name));  \
  CHECK(kafka.name, "librdkafka has no " #name);
  FUNCTIONS(F)
#undef F
  plugin = argv[2];
  running_seed = strtoull(argv[3], nullptr, 10);
  Random random(running_seed);
  rd_kafka_t* producer = create(PRODUCER, {{"test.mock.num.brokers", "1"}, {"linger.ms", "5"}});
  rd_kafka_mock_t* cluster = kafka.rd_kafka_handle_mock_cluster(producer);
  address = kafka.rd_kafka_mock_cluster_bootstraps(cluster);
  kafka.rd_kafka_mock_topic_create(cluster, RECORDS, PARTITIONS, 1);
  kafka.rd_kafka_mock_topic_create(cluster, EMPTY, EMPTY_PARTITIONS, 1);
  kafka.rd_kafka_mock_topic_create(cluster, WRITTEN, PARTITIONS, 1);
  for (int32_t i = 0; i < PARTITIONS * RECORDS_EACH; i++) produce(producer, i % PARTITIONS, random);
  CHECK(!kafka.rd_kafka_flush(producer, PATIENCE_MS), "not all records were written");
  read_in_all_ways(random);
  read_empty_partitions(random);
  read_partitions_that_are_not_there(random);
  close_while_filling(random);
  write_in_all_ways(cluster, random);
  kafka.rd_kafka_destroy(producer);
  printf("%s: without a finding\n", argv[0]);
  return 0;
}
