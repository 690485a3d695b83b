// What Python calls, by ctypes: C functions over memory that NumPy owns.
//
// Nothing here uses Python's API, so one shared library serves every version of Python, and
// Python's lock is released during each call. No function allocates memory by what a record says.
// Arrays are as in Arrow's variable-size binary layout: entry i of a column is
// buffer[offsets[i]..offsets[i + 1]).
#ifndef TFKAFKA_NATIVE_H
#define TFKAFKA_NATIVE_H

#include <cstdint>

// Changes with any change of this file: the Python side refuses a library of another number.
#define TFKAFKA_ABI 1

#define TFKAFKA_EXPORT extern "C" __attribute__((visibility("default")))

TFKAFKA_EXPORT int32_t tk_abi();

// ---- columns.cc

// Copies entries, each `lengths[i]` bytes from `buffer + starts[i]`, one after another to `out`.
TFKAFKA_EXPORT void tk_gather(const uint8_t* buffer, const int64_t* starts, const int64_t* lengths,
                              uint8_t* out, int64_t count);

// ---- filler.cc

// Finds librdkafka's functions in the library at `path`, once. Returns its version as
// rd_kafka_version() does; or -1, and why in `error` (`size` bytes, with the final zero).
TFKAFKA_EXPORT int32_t tk_find_librdkafka(const char* path, char* error, int32_t size);

// The client that was created last in this thread by librdkafka with this library as a plugin.
TFKAFKA_EXPORT void* tk_take_new_client();

// A queue of the client that partitions' records are forwarded to; null: no memory.
TFKAFKA_EXPORT void* tk_open(void* client);
// Must come before the client is closed, which would wait for its queue forever.
TFKAFKA_EXPORT void tk_close(void* reader);
// Forwards a partition, before it is assigned, and returns the index that its records will have;
// -1: there is no memory.
TFKAFKA_EXPORT int32_t tk_forward(void* reader, const char* topic, int32_t partition);

// A change of the leaders' epoch: records of the partition from this offset on have it.
struct TkEpoch {
  int64_t offset;
  int32_t source, epoch;  // epoch -1: unknown
};

// What came in place of a record.
struct TkEvent {
  int64_t offset;
  int32_t source;  // -1: of the whole client
  int32_t code;
  char reason[504];
};

constexpr int32_t TK_EPOCHS = 256;
constexpr int32_t TK_EVENTS = 64;

// Why a call of tk_fill has returned.
enum TkEnd : int32_t {
  TK_DRAINED = 0,  // nothing more had arrived, or there are as many records as wanted
  // Records are held back, which the next call begins with:
  TK_VALUES = 1,   // `values` is too small for the next one: see `needed`
  TK_KEYS = 2,     // so is `keys`
  TK_HEADERS = 3,  // so is `headers`
  TK_NOTES = 4,    // `epochs` or `events` is full
};

// One call of tk_fill. The pointers are to arrays of the caller; offsets have one entry more than
// `capacity`, the others one for each record.
struct TkFill {
  int64_t capacity;  // records
  int64_t values_capacity, keys_capacity, headers_capacity;  // bytes
  uint8_t* values;
  int64_t* value_offsets;
  uint8_t* value_nulls;
  uint8_t* keys;
  int64_t* key_offsets;
  uint8_t* key_nulls;
  // For each record its headers: name, value, name, value, ... each an int32 length (-1: null) and
  // the bytes. Null: not wanted.
  uint8_t* headers;
  int64_t* header_offsets;
  int32_t* sources;
  int64_t* offsets;
  int64_t* timestamps;  // ms, -1 where a record has none; null: not wanted
  TkEpoch* epochs;      // TK_EPOCHS
  TkEvent* events;      // TK_EVENTS
  // Returned:
  int64_t records, needed;
  int32_t epoch_count, event_count;
  int32_t end;  // TkEnd
};

// Waits at most `timeout_ms` for a record, then takes those that follow within `linger_ms`.
TFKAFKA_EXPORT void tk_fill(void* reader, TkFill* fill, int32_t timeout_ms, int32_t linger_ms);

#endif
