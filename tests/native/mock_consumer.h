// A consumer of the mock cluster, which checks what it reads.
#ifndef TFKAFKA_TESTS_MOCK_CONSUMER_H
#define TFKAFKA_TESTS_MOCK_CONSUMER_H

#include <atomic>
#include <mutex>
#include <utility>

#include "librdkafka_mock.h"
#include "records.h"

enum { PRODUCER, CONSUMER };  // as rd_kafka_type_t
constexpr int32_t PARTITION_END = -191, UNKNOWN_PARTITION = -190;
inline const char* const RECORDS = "records";
inline const char* const EMPTY = "empty";
constexpr int32_t PARTITIONS = 6, RECORDS_EACH = 600;
// More ends than TK_EVENTS.
constexpr int32_t EMPTY_PARTITIONS = 80;
constexpr int PATIENCE_MS = 120000;

struct Record {
  Bytes key, value;
  std::string headers;  // as TkFill has them
  int64_t timestamp;
};
inline std::vector<Record> records[PARTITIONS];
inline std::string plugin, address;

// confluent-kafka's callback aborts the process then.
inline thread_local bool is_filling = false;
inline void refuse_while_filling(rd_kafka_t*, int, const char* reason, void*) {
  CHECK(!is_filling, "the client's callback is called: %s", reason);
}

inline rd_kafka_t* create(int type,
                          const std::vector<std::pair<const char*, std::string>>& settings) {
  char error[512] = "";
  rd_kafka_conf_t* conf = kafka.rd_kafka_conf_new();
  for (const auto& [name, value] : settings)
    CHECK(!kafka.rd_kafka_conf_set(conf, name, value.c_str(), error, sizeof error), "%s", error);
  kafka.rd_kafka_conf_set_error_cb(conf, refuse_while_filling);
  rd_kafka_t* client = kafka.rd_kafka_new(type, conf, error, sizeof error);
  CHECK(client, "%s", error);
  return client;
}

// native_fill.py's _Queue.
class Queue {
 public:
  Queue() : handle_(tk_open(tk_take_new_client())) { CHECK(handle_, "no memory"); }
  int32_t forward(const char* topic, int32_t partition) {
    std::lock_guard<std::mutex> held(lock_);
    return tk_forward(handle_, topic, partition);
  }
  bool fill(TkFill& fill, int timeout_ms) {
    if (is_closing_) return false;
    std::lock_guard<std::mutex> held(lock_);
    is_filling = true;
    if (handle_) tk_fill(handle_, &fill, timeout_ms, 5);
    is_filling = false;
    return handle_ != nullptr;
  }
  void close() {
    is_closing_ = true;
    std::lock_guard<std::mutex> held(lock_);
    if (handle_) tk_close(handle_);
    handle_ = nullptr;
  }

 private:
  std::mutex lock_;
  std::atomic<bool> is_closing_{false};
  void* handle_;
};

class Consumer {
  const char* topic_;
  rd_kafka_t* client_;
  std::vector<int64_t> next_;  // the offset of each partition
  std::vector<char> ends_;     // whether its end was reported

 public:
  Queue queue;  // of the client above

  Consumer(const char* topic, int32_t partitions)
      : topic_(topic),
        client_(create(CONSUMER, {{"bootstrap.servers", address},
                                  {"group.id", "driver"},
                                  {"enable.partition.eof", "true"},
                                  {"fetch.wait.max.ms", "20"},
                                  {"plugin.library.paths", plugin}})),
        next_(partitions), ends_(partitions) {
    kafka.rd_kafka_poll_set_consumer(client_);
  }
  ~Consumer() {
    queue.close();
    kafka.rd_kafka_consumer_close(client_);
    kafka.rd_kafka_destroy(client_);
  }

  // Assigns all partitions where reading stands.
  void assign() {
    rd_kafka_list_t* list = all();
    for (int32_t i = 0; i < partitions(); i++)
      CHECK(queue.forward(topic_, i) == i, "partition %d has another index", i);
    CHECK(!kafka.rd_kafka_assign(client_, list), "it cannot be assigned");
    kafka.rd_kafka_topic_partition_list_destroy(list);
    std::fill(ends_.begin(), ends_.end(), 0);
  }
  void unassign() { CHECK(!kafka.rd_kafka_assign(client_, nullptr), "it cannot be unassigned"); }

  void seek(int32_t partition, int64_t offset) {
    next_[partition] = offset;
    rd_kafka_list_t* list = one(partition);
    kafka.rd_kafka_seek_partitions(client_, list, PATIENCE_MS);
    kafka.rd_kafka_topic_partition_list_destroy(list);
    ends_[partition] = 0;
  }
  void pause(int32_t partition) { change(kafka.rd_kafka_pause_partitions, partition); }
  void resume(int32_t partition) { change(kafka.rd_kafka_resume_partitions, partition); }

  // Takes at most so many records, checks them, and returns how many came; -1: the queue is closed.
  int64_t take(Random& random, int64_t at_most, int timeout_ms) {
    int64_t taken = take_own(), needed[3] = {};
    while (taken < at_most) {
      const int64_t any = random.one_in(2) ? 300 : 300000;
      const int64_t values = std::max(random.between(0, any), needed[0]);
      const int64_t keys = std::max(random.between(0, any), needed[1]);
      const int64_t headers = std::max(random.between(0, any), needed[2]);
      Arrays got(at_most - taken, values, keys, headers, true);
      TkFill& fill = got.fill;
      if (!queue.fill(fill, timeout_ms)) return -1;
      auto text = [](const Exactly<uint8_t>& all, const Exactly<int64_t>& at, int64_t i) {
        return std::string(all.data() + at[i], all.data() + at[i + 1]);
      };
      for (int64_t i = 0; i < fill.records; i++)
        check(got.sources[i], got.offsets[i],
              got.value_nulls[i] ? Bytes() : text(got.values, got.value_offsets, i),
              got.key_nulls[i] ? Bytes() : text(got.keys, got.key_offsets, i),
              text(got.headers, got.header_offsets, i), got.timestamps[i]);
      for (int32_t i = 0; i < fill.event_count; i++) {
        const bool is_end = got.events[i].source >= 0;
        CHECK(got.events[i].code == (is_end ? PARTITION_END : UNKNOWN_PARTITION), "%s",
              got.events[i].reason);
        if (is_end)
          ends_[got.events[i].source] = 1;
        else
          unknown++;
      }
      taken += fill.records;
      seen[fill.end]++;
      if (fill.end == TK_DRAINED) break;
      timeout_ms = 0;
      const int64_t used[] = {got.value_offsets[fill.records], got.key_offsets[fill.records],
                              got.header_offsets[fill.records]};
      for (int part = 0; part < 3; part++)
        if (fill.end == TK_VALUES + part) needed[part] = fill.needed - used[part];
    }
    return taken;
  }

  // Reads until each partition but one has reported its end.
  void finish(Random& random, int32_t but = -1) {
    const uint64_t deadline = milliseconds() + PATIENCE_MS;
    auto missing = [&] {
      for (int32_t i = 0; i < partitions(); i++)
        if (i != but && !ends_[i]) return i;
      return -1;
    };
    while (missing() >= 0) {
      take(random, random.between(1, random.one_in(2) ? 20 : 2000), 200);
      CHECK(milliseconds() < deadline, "partition %d of %s has not ended after %d s: it is at %ld",
            missing(), topic_, PATIENCE_MS / 1000, next_[missing()]);
    }
    for (int32_t i = 0; i < partitions() && topic_ == RECORDS; i++)
      CHECK(i == but || next_[i] == RECORDS_EACH, "partition %d ends at %ld", i, next_[i]);
  }

  int64_t seen[TK_NOTES + 1] = {};  // of each TkEnd
  int64_t unknown = 0;              // partitions that are not there

 private:
  int32_t partitions() const { return static_cast<int32_t>(next_.size()); }

  rd_kafka_list_t* list_of(int32_t first, int32_t last) {
    rd_kafka_list_t* list = kafka.rd_kafka_topic_partition_list_new(1);
    for (int32_t i = first; i < last; i++)
      kafka.rd_kafka_topic_partition_list_add(list, topic_, i)->offset = next_[i];
    return list;
  }
  rd_kafka_list_t* all() { return list_of(0, partitions()); }
  rd_kafka_list_t* one(int32_t partition) { return list_of(partition, partition + 1); }

  void change(int (*how)(rd_kafka_t*, rd_kafka_list_t*), int32_t partition) {
    rd_kafka_list_t* list = one(partition);
    CHECK(!how(client_, list), "partition %d", partition);
    kafka.rd_kafka_topic_partition_list_destroy(list);
  }

  // What came by the client's own queue: see Source::is_starting.
  int64_t take_own() {
    int64_t taken = 0;
    while (rd_kafka_message_t* message = kafka.rd_kafka_consumer_poll(client_, 0)) {
      CHECK(!message->err || message->err == PARTITION_END, "%s",
            kafka.rd_kafka_message_errstr(message));
      if (message->err)
        ends_[message->partition] = 1;
      else
        CHECK(message->offset == next_[message->partition]++, "offset %ld", message->offset);
      taken += !message->err;
      kafka.rd_kafka_message_destroy(message);
    }
    return taken;
  }

  void check(int32_t source, int64_t offset, const Bytes& value, const Bytes& key,
             const std::string& headers, int64_t timestamp) {
    CHECK(source >= 0 && source < partitions() && offset == next_[source],
          "partition %d: offset %ld instead of %ld", source, offset, next_[source]);
    const Record& record = records[source][next_[source]++];
    CHECK(value == record.value && key == record.key && headers == record.headers &&
              timestamp == record.timestamp, "partition %d, offset %ld", source, offset);
  }
};

#endif
