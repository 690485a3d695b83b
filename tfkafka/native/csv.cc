// Rows of CSV to columns.
//
// A row has the meaning that decoding/csv_fields.py gives it; a number is what polars takes for
// one. A row that is not as it should be is marked, and Python says why.
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "classes.h"
#include "tfkafka_native.h"
#include "vendor/fast_float.h"

namespace {

constexpr auto NUMBER = fast_float::chars_format::general | fast_float::chars_format::no_infnan |
                        fast_float::chars_format::allow_leading_plus;
// The longest name of a class with a quote in it that is found here.
constexpr size_t UNESCAPED = 256;
constexpr bool IS_LITTLE_ENDIAN = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

inline bool is_line_end(char c) { return c == '\n' || c == '\r'; }
inline bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

const char* skip_spaces(const char* p, const char* end) {
  while (p != end && (*p == ' ' || *p == '\t')) p++;
  return p;
}

// Skips digits, letters and all else that is after the comma in ASCII, eight bytes at a time.
const char* skip_plain(const char* p, const char* end) {
  constexpr uint64_t EACH = 0x0101010101010101;
  for (; end - p >= 8; p += 8) {
    uint64_t bytes;
    memcpy(&bytes, p, 8);
    // The highest bit of a byte, where it is the lowest one set: that byte is at most a comma.
    const uint64_t low = (bytes - EACH * (',' + 1)) & ~bytes & (EACH * 0x80);
    if (!low) continue;
    if constexpr (IS_LITTLE_ENDIAN) return p + __builtin_ctzll(low) / 8;
    break;
  }
  while (p != end && static_cast<uint8_t>(*p) > ',') p++;
  return p;
}

// A field without the quotes around it.
struct Field {
  const char *begin, *end;
  const char* next;  // its comma or the end of the row; null: a quote or line end is out of place
  bool has_quotes;   // in it, each written as two
};

Field split(const char* p, const char* end) {
  while (p != end && is_line_end(*p)) p++;
  const char* begin = p;
  if (p == end || *p != '"') {
    for (p = skip_plain(p, end); p != end && *p != ','; p = skip_plain(p + 1, end))
      if (*p == '"' || is_line_end(*p)) return {};
    return {begin, p, p, false};
  }
  begin = ++p;
  for (bool has_quotes = false;; has_quotes = true, p += 2) {
    p = static_cast<const char*>(memchr(p, '"', end - p));
    if (!p) return {};
    if (p + 1 == end || p[1] == ',') return {begin, p, p + 1, has_quotes};
    if (p[1] != '"') return {};
  }
}

// Whether `word`, of small letters, begins at p.
bool begins(const char* p, const char* end, const char* word) {
  for (; *word; p++, word++)
    if (p == end || (*p | 0x20) != *word) return false;
  return true;
}

// The functions below write the number that begins at p, and return where it ends; null: there is
// none.

template <typename T>
const char* parse_special(const char* p, const char* end, T* number) {
  const bool is_negative = p != end && *p == '-';
  if (p != end && (*p == '-' || *p == '+')) p++;
  const bool is_nan = begins(p, end, "nan");
  if (!is_nan && !begins(p, end, "inf")) return nullptr;
  using Limits = std::numeric_limits<T>;
  *number = std::copysign(is_nan ? Limits::quiet_NaN() : Limits::infinity(),
                          is_negative ? T(-1) : T(1));
  return p + (begins(p, end, "infinity") ? 8 : 3);
}

template <typename T>
std::enable_if_t<std::is_floating_point_v<T>, const char*> parse(const char* p, const char* end,
                                                                 T* number) {
  const auto found = fast_float::from_chars(p, end, *number, NUMBER);
  // Out of range: infinity or 0 has been written.
  if (found.ec == std::errc() || found.ec == std::errc::result_out_of_range) return found.ptr;
  return parse_special(p, end, number);
}

template <typename T>
std::enable_if_t<std::is_integral_v<T>, const char*> parse(const char* p, const char* end,
                                                           T* number) {
  const bool is_negative = p != end && *p == '-';
  if (p != end && (*p == '-' || *p == '+')) p++;
  const uint64_t most = static_cast<uint64_t>(std::numeric_limits<T>::max()) + is_negative;
  const char* digits = p;
  uint64_t size = 0;
  for (; p != end && *p >= '0' && *p <= '9'; p++) {
    const uint64_t digit = *p - '0';
    if (size > (most - digit) / 10) return nullptr;
    size = 10 * size + digit;
  }
  *number = static_cast<T>(is_negative ? 0 - size : size);
  return p == digits ? nullptr : p;
}

int64_t class_of(const TkClasses& classes, const Field& field) {
  const char* name = field.begin;
  size_t length = field.end - field.begin;
  char unescaped[UNESCAPED];
  if (field.has_quotes) {
    // Python has the last word about longer ones.
    if (length > UNESCAPED) return -1;
    length = 0;
    for (const char* p = field.begin; p != field.end; p += *p == '"' ? 2 : 1)
      unescaped[length++] = *p;
    name = unescaped;
  }
  return find_class(classes, name, length);
}

template <typename T>
bool is_accepted(T number, bool finite) {
  if constexpr (std::is_floating_point_v<T>) return !finite || std::isfinite(number);
  return true;
}

// The functions below write the value of the field that begins at p, and return its comma or the
// end of the row; null: it is not what it should be.

template <typename T>
const char* read_number(const char* p, const char* end, const TkCsvColumn& column, bool finite,
                        T* out) {
  if (p == end || *p != '"') {
    // Most fields are a number with nothing but blanks around it.
    const char* stop = parse(skip_spaces(p, end), end, out);
    if (stop) stop = skip_spaces(stop, end);
    if (stop && (stop == end || *stop == ',')) return is_accepted(*out, finite) ? stop : nullptr;
  }
  Field field = split(p, end);
  if (!field.next) return nullptr;
  while (field.begin != field.end && is_blank(*field.begin)) field.begin++;
  while (field.begin != field.end && is_blank(field.end[-1])) field.end--;
  if (field.begin == field.end) {
    *out = static_cast<T>(column.fill);
    return column.may_miss ? field.next : nullptr;
  }
  if (parse(field.begin, field.end, out) != field.end) return nullptr;
  return is_accepted(*out, finite) ? field.next : nullptr;
}

template <typename T>
const char* read(const char* p, const char* end, const TkCsvColumn& column, bool finite,
                 int64_t row) {
  T* out = reinterpret_cast<T*>(column.out + row * column.stride);
  if (!column.classes) return read_number(p, end, column, finite, out);
  const Field field = split(p, end);
  if (!field.next) return nullptr;
  const int64_t index = class_of(*column.classes, field);
  *out = static_cast<T>(index);
  return index < 0 ? nullptr : field.next;
}

const char* read_any(const char* p, const char* end, const TkCsvColumn& column, bool finite,
                     int64_t row) {
  switch (column.type) {
    case TK_FLOAT32: return read<float>(p, end, column, finite, row);
    case TK_FLOAT64: return read<double>(p, end, column, finite, row);
    case TK_INT32: return read<int32_t>(p, end, column, finite, row);
    case TK_INT64: return read<int64_t>(p, end, column, finite, row);
  }
  return nullptr;
}

// Returns the mark of a row.
int32_t read_row(const char* p, const char* end, const TkCsv& csv, int64_t row) {
  while (p != end && is_line_end(*p)) p++;
  while (p != end && is_line_end(end[-1])) end--;
  int32_t next = 0;
  for (int64_t number = 0; number < csv.columns; number++) {
    if (number) {
      if (p == end) return -1;
      p++;  // the comma
    }
    if (next < csv.wanted_count && csv.wanted[next].number == number) {
      p = read_any(p, end, csv.wanted[next], csv.finite, row);
      next++;
      if (!p) return next;
    } else if (p = split(p, end).next; !p) {
      return -1;
    }
  }
  return p == end ? 0 : -1;
}

}  // namespace

TFKAFKA_EXPORT int64_t tk_parse_csv(const TkCsv* csv, const uint8_t* buffer, const int64_t* offsets,
                                    const uint8_t* nulls, int64_t first, int64_t last,
                                    int32_t* marks) {
  const char* text = reinterpret_cast<const char*>(buffer);
  int64_t marked = 0;
  for (int64_t row = first; row < last; row++) {
    marks[row] =
        nulls[row] ? -1 : read_row(text + offsets[row], text + offsets[row + 1], *csv, row);
    marked += marks[row] != 0;
  }
  return marked;
}

TFKAFKA_EXPORT void tk_find_classes(const TkClasses* classes, const uint8_t* buffer,
                                    const int64_t* offsets, const uint8_t* nulls, int64_t first,
                                    int64_t last, int64_t* out) {
  const char* text = reinterpret_cast<const char*>(buffer);
  for (int64_t row = first; row < last; row++)
    out[row] = nulls[row] ? -1
                          : find_class(*classes, text + offsets[row],
                                       offsets[row + 1] - offsets[row]);
}
