// Records of JSON to columns.
//
// Only records that are surely right are taken: decoding/json_exact.py has the last word about all
// others, also about some that it takes, as those with an escape in a name.
#include <cmath>
#include <cstring>
#include <limits>

#include "classes.h"
#include "tfkafka_native.h"
#include "vendor/fast_float.h"

namespace {

// Objects and arrays in each other.
constexpr int DEEPEST = 64;
constexpr auto NUMBER = fast_float::chars_format::json;
// Below it each whole number is one of double, and is no other rounded.
constexpr double EXACT = 9007199254740992.0;
constexpr bool IS_LITTLE_ENDIAN = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

// What the functions below need to know of the record in progress.
struct Record {
  const TkJson& json;
  const char* end;
  int64_t row;
  // For each name: twice the row that had it last, plus 1 if with a value; -1: none.
  int64_t* last;
  // For each name, and after them for each object as the one before its first name: the name that
  // was found after it; -1: none. Records mostly have their names in the same order.
  int64_t* after;
  int64_t found;  // fields
};

// The functions below return where what begins at p ends; null: it is not what it should be.

inline const char* skip_blanks(const char* p, const char* end) {
  while (p != end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
  return p;
}

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

inline bool is_hex(char c) {
  return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

const char* skip_escape(const char* p, const char* end) {
  if (end - p < 2) return nullptr;
  if (p[1] != 'u') return memchr("\"\\/bfnrt", p[1], 8) ? p + 2 : nullptr;
  if (end - p < 6) return nullptr;
  for (int i = 2; i < 6; i++)
    if (!is_hex(p[i])) return nullptr;
  return p + 6;
}

// A character of UTF-8 that is not ASCII, as The Unicode Standard 15.0, table 3-7, has them.
const char* skip_wide(const char* p, const char* end) {
  const auto byte = [&](int i) { return static_cast<uint8_t>(p[i]); };
  const auto is_next = [&](int i, uint8_t least = 0x80, uint8_t most = 0xBF) {
    return end - p > i && byte(i) >= least && byte(i) <= most;
  };
  const uint8_t first = byte(0);
  if (first < 0xC2 || first > 0xF4) return nullptr;
  if (first < 0xE0) return is_next(1) ? p + 2 : nullptr;
  if (first < 0xF0) {
    const uint8_t least = first == 0xE0 ? 0xA0 : 0x80, most = first == 0xED ? 0x9F : 0xBF;
    return is_next(1, least, most) && is_next(2) ? p + 3 : nullptr;
  }
  const uint8_t least = first == 0xF0 ? 0x90 : 0x80, most = first == 0xF4 ? 0x8F : 0xBF;
  return is_next(1, least, most) && is_next(2) && is_next(3) ? p + 4 : nullptr;
}

// Skips what is neither a quote, a backslash, a control character nor outside ASCII, eight bytes at
// a time.
const char* skip_plain(const char* p, const char* end) {
  constexpr uint64_t EACH = 0x0101010101010101, HIGH = 0x80 * EACH;
  for (; end - p >= 8; p += 8) {
    uint64_t bytes;
    memcpy(&bytes, p, 8);
    const uint64_t quote = bytes ^ ('"' * EACH), backslash = bytes ^ ('\\' * EACH);
    // The highest bit of a byte. Of those that are set, the lowest one is right.
    const uint64_t found =
        (((quote - EACH) & ~quote) | ((backslash - EACH) & ~backslash) |
         ((bytes - ' ' * EACH) & ~bytes) | bytes) & HIGH;
    if (!found) continue;
    if constexpr (IS_LITTLE_ENDIAN) return p + __builtin_ctzll(found) / 8;
    break;
  }
  while (p != end && *p != '"' && *p != '\\' && static_cast<uint8_t>(*p - ' ') < 0x80 - ' ') p++;
  return p;
}

// The text after an opening quote, to its closing quote.
const char* skip_text(const char* p, const char* end, bool* has_escape) {
  for (;;) {
    p = skip_plain(p, end);
    if (p == end) return nullptr;
    if (*p == '"') return p;
    if (*p == '\\') {
      *has_escape = true;
      p = skip_escape(p, end);
    } else {
      p = skip_wide(p, end);  // or a control character
    }
    if (!p) return nullptr;
  }
}

const char* skip_digits(const char* p, const char* end) {
  if (p == end || !is_digit(*p)) return nullptr;
  while (p != end && is_digit(*p)) p++;
  return p;
}

const char* skip_number(const char* p, const char* end) {
  if (p != end && *p == '-') p++;
  const bool has_more = p != end && *p != '0';
  p = has_more ? skip_digits(p, end) : p == end ? nullptr : p + 1;
  if (p && p != end && *p == '.') p = skip_digits(p + 1, end);
  if (p && p != end && (*p | 0x20) == 'e') {
    p++;
    if (p != end && (*p == '-' || *p == '+')) p++;
    p = skip_digits(p, end);
  }
  return p;
}

const char* skip_word(const char* p, const char* end, const char* word) {
  const int64_t length = strlen(word);
  return end - p >= length && !memcmp(p, word, length) ? p + length : nullptr;
}

// A number, text, true, false or null.
const char* skip_scalar(const char* p, const char* end) {
  bool has_escape;
  switch (p == end ? 0 : *p) {
    case '"': return (p = skip_text(p + 1, end, &has_escape)) ? p + 1 : nullptr;
    case 't': return skip_word(p, end, "true");
    case 'f': return skip_word(p, end, "false");
    case 'n': return skip_word(p, end, "null");
    default: return skip_number(p, end);
  }
}

// The colon after a name and the blanks around it.
const char* skip_colon(const char* p, const char* end) {
  p = skip_blanks(p, end);
  return p != end && *p == ':' ? skip_blanks(p + 1, end) : nullptr;
}

const char* skip_name(const char* p, const char* end) {
  bool has_escape;
  if (p == end || *p != '"') return nullptr;
  p = skip_text(p + 1, end, &has_escape);
  return p ? skip_colon(p + 1, end) : nullptr;
}

// Any value.
const char* skip_value(const char* p, const char* end) {
  // Of those that are open, the innermost is the lowest bit: whether it is an object.
  uint64_t are_objects = 0;
  for (int depth = 0;;) {
    const bool is_object = p != end && *p == '{';
    if (is_object || (p != end && *p == '[')) {
      p = skip_blanks(p + 1, end);
      if (p == end || *p != (is_object ? '}' : ']')) {
        if (++depth > DEEPEST) return nullptr;
        are_objects = are_objects << 1 | is_object;
        if (is_object && !(p = skip_name(p, end))) return nullptr;
        continue;
      }
      p++;
    } else if (!(p = skip_scalar(p, end))) {
      return nullptr;
    }
    for (;; depth--, are_objects >>= 1, p++) {
      if (!depth) return p;
      p = skip_blanks(p, end);
      if (p == end) return nullptr;
      if (*p == ',') break;
      if (*p != (are_objects & 1 ? '}' : ']')) return nullptr;
    }
    p = skip_blanks(p + 1, end);
    if (are_objects & 1 && !(p = skip_name(p, end))) return nullptr;
  }
}

template <typename T>
void put(const TkJsonField& field, int64_t row, int64_t item, T value) {
  uint8_t* out = field.out + row * field.stride;
  switch (field.type) {
    case TK_FLOAT32: reinterpret_cast<float*>(out)[item] = static_cast<float>(value); break;
    case TK_FLOAT64: reinterpret_cast<double*>(out)[item] = static_cast<double>(value); break;
    case TK_INT32: reinterpret_cast<int32_t*>(out)[item] = static_cast<int32_t>(value); break;
    case TK_INT64: reinterpret_cast<int64_t*>(out)[item] = static_cast<int64_t>(value); break;
  }
}

void fill(const TkJsonField& field, int64_t row, int64_t first, int64_t count) {
  for (int64_t item = first; item < first + count; item++) put(field, row, item, field.fill);
}

const char* read_number(const Record& record, const TkJsonField& field, int64_t item,
                        const char* p) {
  double number;
  const auto parsed = fast_float::from_chars(p, record.end, number, NUMBER);
  // Out of range: infinity or 0 has been written.
  if (parsed.ec != std::errc() && parsed.ec != std::errc::result_out_of_range) return nullptr;
  const char* stop = parsed.ptr;
  if (!field.is_whole) {
    // Python takes -0 for a whole number, which has no sign.
    if (!number && stop - p == 2) number = 0;
    const double kept = field.type == TK_FLOAT32 ? static_cast<float>(number) : number;
    put(field, record.row, item, kept);
    return record.json.finite && !std::isfinite(kept) ? nullptr : stop;
  }
  int64_t whole;
  if (std::fabs(number) < EXACT) {
    whole = static_cast<int64_t>(number);
    if (static_cast<double>(whole) != number) return nullptr;
  } else {
    const auto exactly = fast_float::from_chars(p, stop, whole);
    if (exactly.ec != std::errc() || exactly.ptr != stop) return nullptr;
  }
  put(field, record.row, item, whole);
  return whole < field.least || whole > field.most ? nullptr : stop;
}

// One number, or the name of one class.
const char* read_item(const Record& record, const TkJsonField& field, int64_t item, const char* p) {
  const char* end = record.end;
  if (p == end) return nullptr;
  if (*p == 'n') {
    if (field.may_miss) fill(field, record.row, item, 1);
    return field.may_miss ? skip_word(p, end, "null") : nullptr;
  }
  if (field.classes) {
    bool has_escape = false;
    const char* stop = *p == '"' ? skip_text(p + 1, end, &has_escape) : nullptr;
    if (!stop || has_escape) return nullptr;
    const int64_t index = find_class(*field.classes, p + 1, stop - p - 1);
    if (index < 0) return nullptr;
    put(field, record.row, item, index);
    return stop + 1;
  }
  if (*p == 't' || *p == 'f') {
    put<int64_t>(field, record.row, item, *p == 't');
    return skip_word(p, end, *p == 't' ? "true" : "false");
  }
  return read_number(record, field, item, p);
}

// An array of arrays of ... of items, `count` in all; of no dimensions, an item.
const char* read_array(const Record& record, const TkJsonField& field, int64_t dimension,
                       int64_t item, int64_t count, const char* p) {
  if (dimension == field.dimensions) return read_item(record, field, item, p);
  const int64_t size = field.shape[dimension];
  if (p == record.end || *p != '[') return nullptr;
  for (int64_t i = 0; i < size; i++) {
    p = skip_blanks(p + 1, record.end);  // after the bracket or a comma
    p = read_array(record, field, dimension + 1, item + i * (count / size), count / size, p);
    if (!p) return nullptr;
    p = skip_blanks(p, record.end);
    if (p == record.end || *p != (i + 1 < size ? ',' : ']')) return nullptr;
  }
  if (size) return p + 1;
  p = skip_blanks(p + 1, record.end);
  return p != record.end && *p == ']' ? p + 1 : nullptr;
}

const char* read_object(Record& record, int64_t object, int depth, const char* p);

// The value of a name that is wanted.
const char* read_value(Record& record, int64_t number, int depth, const char* p) {
  const TkJsonName& name = record.json.names[number];
  if (record.last[number] >= 2 * record.row) return nullptr;  // it occurs more than once
  const bool is_null = p != record.end && *p == 'n';
  record.last[number] = 2 * record.row + !is_null;
  if (name.field < 0) {
    if (is_null) return skip_word(p, record.end, "null");
    const bool is_object = p != record.end && *p == '{' && depth < DEEPEST;
    return is_object ? read_object(record, name.object, depth + 1, p + 1) : nullptr;
  }
  const TkJsonField& field = record.json.fields[name.field];
  record.found++;
  if (!is_null) return read_array(record, field, 0, 0, field.size, p);
  if (!field.may_miss) return nullptr;
  fill(field, record.row, 0, field.size);
  return skip_word(p, record.end, "null");
}

inline bool is_name(const TkJsonName& name, const char* p, const char* end) {
  return end - p > name.length && p[name.length] == '"' && !memcmp(p, name.text, name.length);
}

// An object after its opening brace.
const char* read_object(Record& record, int64_t object, int depth, const char* p) {
  const char* end = record.end;
  int64_t before = record.json.name_count + object;
  p = skip_blanks(p, end);
  if (p != end && *p == '}') return p + 1;
  for (;; p = skip_blanks(p + 1, end)) {  // after a comma
    if (p == end || *p++ != '"') return nullptr;
    int64_t number = record.after[before];
    if (number >= 0 && is_name(record.json.names[number], p, end)) {
      p += record.json.names[number].length;
    } else {
      bool has_escape = false;
      const char* stop = skip_text(p, end, &has_escape);
      if (!stop || has_escape) return nullptr;
      number = find_class(record.json.objects[object], p, stop - p);
      if (number >= 0) record.after[before] = number;
      p = stop;
    }
    if (!(p = skip_colon(p + 1, end))) return nullptr;
    if (number < 0) {
      p = skip_value(p, end);
    } else {
      before = number;
      p = read_value(record, number, depth, p);
    }
    if (!p) return nullptr;
    p = skip_blanks(p, end);
    if (p == end) return nullptr;
    if (*p == '}') return p + 1;
    if (*p != ',') return nullptr;
  }
}

// Fills the fields that the record does not have. Returns false where one of them may not miss.
bool fill_missing(const Record& record) {
  for (int64_t i = 0; i < record.json.name_count; i++) {
    const int64_t number = record.json.names[i].field;
    if (number < 0 || record.last[i] >= 2 * record.row) continue;
    const TkJsonField& field = record.json.fields[number];
    if (!field.may_miss) return false;
    fill(field, record.row, 0, field.size);
  }
  return true;
}

bool read_record(Record& record, const char* p) {
  p = skip_blanks(p, record.end);
  if (p == record.end || *p != '{') return false;
  p = read_object(record, 0, 1, p + 1);
  if (!p || skip_blanks(p, record.end) != record.end) return false;
  return record.found == record.json.field_count || fill_missing(record);
}

}  // namespace

TFKAFKA_EXPORT int64_t tk_parse_json(const TkJson* json, const uint8_t* buffer,
                                     const int64_t* offsets, const uint8_t* nulls, int64_t first,
                                     int64_t last, uint8_t* marks, uint8_t* seen,
                                     int64_t* scratch) {
  const char* text = reinterpret_cast<const char*>(buffer);
  int64_t* after = scratch + json->name_count;
  for (int64_t i = 0; i < 2 * json->name_count + json->object_count; i++) scratch[i] = -1;
  int64_t marked = 0;
  for (int64_t row = first; row < last; row++) {
    Record record = {*json, text + offsets[row + 1], row, scratch, after, 0};
    marks[row] = nulls[row] || !read_record(record, text + offsets[row]);
    marked += marks[row];
    if (marks[row]) continue;
    for (int64_t i = 0; i < json->name_count; i++)
      if (scratch[i] == 2 * row + 1) seen[i] = 1;
  }
  return marked;
}
