// Where the features of tf.train.Example are in a record.
//
// As decoding/wire.py, whose map_values this is: only what serialisers write is plain, and Python
// judges the rest. https://protobuf.dev/programming-guides/encoding/
#include "classes.h"
#include "tfkafka_native.h"

namespace {

// Tags of the first and the second field, where they have a length.
constexpr uint8_t FIRST = 1 << 3 | 2, SECOND = 2 << 3 | 2;
// A length has at most 5 bytes.
constexpr int LENGTH_BITS = 35;

struct Span {
  const uint8_t *begin, *end;  // null: nowhere
};

// The content of the field that begins an outer stretch of bytes.
Span content(Span outer, uint8_t tag) {
  const uint8_t* p = outer.begin;
  if (p == outer.end || *p++ != tag) return {};
  uint64_t length = 0;
  for (int shift = 0;; shift += 7) {
    if (shift == LENGTH_BITS || p == outer.end) return {};
    length |= static_cast<uint64_t>(*p & 0x7F) << shift;
    if (*p++ < 0x80) break;
  }
  if (length > static_cast<uint64_t>(outer.end - p)) return {};
  return {p, p + length};
}

}  // namespace

TFKAFKA_EXPORT void tk_find_values(const TkClasses* names, const uint8_t* buffer,
                                   const int64_t* starts, const int64_t* stops, int64_t first,
                                   int64_t last, int64_t count, int64_t* value_starts,
                                   int64_t* value_stops, uint8_t* is_plain) {
  for (int64_t row = first; row < last; row++) {
    for (int64_t i = 0; i < names->count; i++)
      value_starts[i * count + row] = value_stops[i * count + row] = -1;
    is_plain[row] = starts[row] >= 0;
    if (!is_plain[row]) continue;
    Span rest = {buffer + starts[row], buffer + stops[row]};
    while (rest.begin != rest.end) {
      is_plain[row] = false;
      const Span entry = content(rest, FIRST);
      if (!entry.begin) break;
      const Span name = content(entry, FIRST);
      if (!name.begin) break;
      const Span value = content({name.end, entry.end}, SECOND);
      if (!value.begin || value.end != entry.end) break;
      const char* text = reinterpret_cast<const char*>(name.begin);
      const int64_t index = find_class(*names, text, name.end - name.begin);
      if (index >= 0) {
        int64_t& start = value_starts[index * count + row];
        if (start >= 0) break;  // it comes twice
        start = value.begin - buffer;
        value_stops[index * count + row] = value.end - buffer;
      }
      is_plain[row] = true;
      rest.begin = entry.end;
    }
  }
}
