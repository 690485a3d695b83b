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
#define TFKAFKA_ABI 6

#define TFKAFKA_EXPORT extern "C" __attribute__((visibility("default")))

TFKAFKA_EXPORT int32_t tk_abi();

// ---- columns.cc

// Copies `count` entries: the one at `entries[i]` to the bytes [bounds[i], bounds[i + 1]) of `out`.
TFKAFKA_EXPORT void tk_gather(const uint8_t* const* entries, const int64_t* bounds, uint8_t* out,
                              int64_t count);

// Writes texts one after another to `out`: for each entry the prefix of its source, then a number
// that is not negative, in decimal, then the suffix. `out_offsets` has one entry more than `count`.
TFKAFKA_EXPORT void tk_join_numbers(const uint8_t* prefixes, const int64_t* prefix_offsets,
                                    const int32_t* sources, const int64_t* numbers,
                                    const uint8_t* suffix, int64_t suffix_length, int64_t count,
                                    uint8_t* out, int64_t* out_offsets);

// ---- clients.cc

// Finds librdkafka's functions in the library at `path`, once. Returns its version as
// rd_kafka_version() does; or -1, and why in `error` (`size` bytes, with the final zero).
TFKAFKA_EXPORT int32_t tk_find_librdkafka(const char* path, char* error, int32_t size);

// The client that was created last in this thread by librdkafka with this library as a plugin. It
// must not be used once librdkafka's client is destroyed.
TFKAFKA_EXPORT void* tk_take_new_client();

// ---- filler.cc

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

// ---- producing.cc

constexpr int32_t TK_MOST_HEADERS = 8;
constexpr int32_t TK_FAILURES = 3;
constexpr int64_t TK_QUOTED = 64;

// A column of byte strings. Without offsets all entries are null.
struct TkBytes {
  const uint8_t* buffer;
  const int64_t* offsets;
  const uint8_t* nulls;
};

struct TkHeader {
  const char* name;
  TkBytes values;  // one for each record
};

// Calls of tk_produce for the same records.
struct TkProduce {
  int64_t records;
  TkBytes values, keys;
  const TkHeader* headers;  // at most TK_MOST_HEADERS
  int32_t header_count;
  int32_t partition;  // -1: chosen by the key
  // Returned, and continued by the next call:
  int64_t taken;  // so many of the records are in the queue
  int32_t code;   // librdkafka's error: why the next record is not; 0 where all are
};

// Puts records, from number `taken` on, into the client's queue.
TFKAFKA_EXPORT void tk_produce(void* client, const char* topic, TkProduce* call);

// A record that was not written. Of its key and its value the first TK_QUOTED bytes are kept.
struct TkFailure {
  int64_t key_size, value_size;  // -1: null
  int32_t code;
  uint8_t key[TK_QUOTED], value[TK_QUOTED];
};

struct TkFailures {
  int64_t count;
  TkFailure first[TK_FAILURES];
};

// Returns which of the client's records were not written since the last call.
TFKAFKA_EXPORT void tk_take_failures(void* client, TkFailures* failures);

// ---- csv.cc

// Names of classes, sorted by length, then by their bytes.
struct TkClasses {
  int64_t count;
  const uint8_t* buffer;
  const int64_t* offsets;
  const int64_t* indices;  // the index that each name becomes
};

enum TkType : int32_t { TK_FLOAT32 = 0, TK_FLOAT64 = 1, TK_INT32 = 2, TK_INT64 = 3 };

// A column of CSV that is wanted. A row's value is written to `out + row * stride`, aligned.
struct TkCsvColumn {
  int64_t number;  // from 0
  uint8_t* out;
  int64_t stride;            // bytes
  const TkClasses* classes;  // null: it has numbers
  double fill;               // what an empty field becomes, where it may be empty
  int32_t type;              // TkType of what is written
  int32_t may_miss;          // whether a field may be empty
};

struct TkCsv {
  int64_t columns;  // of a row
  int64_t wanted_count;
  const TkCsvColumn* wanted;  // their numbers ascend
  int32_t finite;             // whether a number must be finite
};

// Parses the rows [first, last) of a column of bytes, and returns how many are not as they should be.
// For each row marks[row] becomes 0; or 1 + the index in `wanted` of the first field that is not
// what it should be; or -1: another field or the row is not. Such a row may have any values.
TFKAFKA_EXPORT int64_t tk_parse_csv(const TkCsv* csv, const uint8_t* buffer, const int64_t* offsets,
                                    const uint8_t* nulls, int64_t first, int64_t last,
                                    int32_t* marks);

// Writes the index of the class that each entry [first, last) is, or -1, to `out`.
TFKAFKA_EXPORT void tk_find_classes(const TkClasses* classes, const uint8_t* buffer,
                                    const int64_t* offsets, const uint8_t* nulls, int64_t first,
                                    int64_t last, int64_t* out);

// ---- json.cc

// A field that is wanted. The items of a row's value are written one after another to
// `out + row * stride`, aligned.
struct TkJsonField {
  uint8_t* out;
  int64_t stride;            // bytes
  int64_t size;              // items of a row
  int64_t dimensions;
  const int64_t* shape;
  const TkClasses* classes;  // null: it has numbers
  double fill;               // what a missing value and null become, where it may miss
  int64_t least, most;       // of a whole number
  int32_t is_whole;          // whether it has whole numbers
  int32_t type;              // TkType of what is written
  int32_t may_miss;
};

// A name that is wanted of an object: of a field, or of an object in it.
struct TkJsonName {
  const uint8_t* text;
  int64_t length;
  int64_t field;   // -1: an object
  int64_t object;  // -1: a field
};

struct TkJson {
  int64_t field_count, name_count, object_count;
  const TkJsonField* fields;
  const TkJsonName* names;
  // For each object the names in it; the first is the record. An index is that of `names`.
  const TkClasses* objects;
  int32_t finite;  // whether a floating-point number must be finite, as `type`
};

// Parses the entries [first, last) of a column of bytes, and returns how many it has not taken.
// For each entry marks[entry] becomes 0; or 1: it is not as it should be, or may not be. Such an
// entry may have any values. seen[name] becomes 1 where one of those taken has a value there.
// `scratch` has 2 * name_count + object_count numbers, and is used during the call.
TFKAFKA_EXPORT int64_t tk_parse_json(const TkJson* json, const uint8_t* buffer,
                                     const int64_t* offsets, const uint8_t* nulls, int64_t first,
                                     int64_t last, uint8_t* marks, uint8_t* seen, int64_t* scratch);

// ---- example.cc

// Finds the values of a map from text to messages, which is field 1 of each of `count` messages;
// those [first, last) of them are read. Each is in buffer[starts[row]..stops[row]), or nowhere: -1.
// The value of a name that becomes index i is in buffer[value_starts[i * count + row]..value_stops[
// i * count + row]), or nowhere. is_plain[row] becomes 0 where a name comes twice, or a message is
// not there or not plain; its values are of no use then.
TFKAFKA_EXPORT void tk_find_values(const TkClasses* names, const uint8_t* buffer,
                                   const int64_t* starts, const int64_t* stops, int64_t first,
                                   int64_t last, int64_t count, int64_t* value_starts,
                                   int64_t* value_stops, uint8_t* is_plain);

#endif
