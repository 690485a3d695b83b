// Parts of records at random, how TkFill has headers, and the arrays that tk_fill fills.
#ifndef TFKAFKA_TESTS_RECORDS_H
#define TFKAFKA_TESTS_RECORDS_H

#include <optional>

#include "../../tfkafka/native/tfkafka_native.h"
#include "check.h"

using Bytes = std::optional<std::string>;  // null where there are none

inline Bytes some_bytes(Random& random, int64_t longest) {
  if (random.one_in(5)) return {};
  return random.bytes(random.one_in(4) ? 0 : random.between(1, longest));
}

// Adds the name or the value of a header as TkFill has them.
inline void add_part(std::string& headers, const Bytes& part) {
  const int32_t size = part ? static_cast<int32_t>(part->size()) : -1;
  headers.append(reinterpret_cast<const char*>(&size), sizeof size) += part.value_or("");
}

// One call's arrays.
struct Arrays {
  Arrays(int64_t records, int64_t values, int64_t keys, int64_t headers, bool metadata)
      : values(values), keys(keys), headers(headers), value_nulls(records), key_nulls(records),
        value_offsets(records + 1), key_offsets(records + 1), header_offsets(records + 1),
        offsets(records), timestamps(records), sources(records), epochs(TK_EPOCHS),
        events(TK_EVENTS) {
    fill = {records, values, keys, headers, this->values.data(), value_offsets.data(),
            value_nulls.data(), this->keys.data(), key_offsets.data(), key_nulls.data(),
            metadata ? this->headers.data() : nullptr, header_offsets.data(), sources.data(),
            offsets.data(), metadata ? timestamps.data() : nullptr, epochs.data(), events.data(),
            -1, -1, -1, -1, -1};
  }
  Exactly<uint8_t> values, keys, headers, value_nulls, key_nulls;
  Exactly<int64_t> value_offsets, key_offsets, header_offsets, offsets, timestamps;
  Exactly<int32_t> sources;
  Exactly<TkEpoch> epochs;
  Exactly<TkEvent> events;
  TkFill fill;
};

#endif
