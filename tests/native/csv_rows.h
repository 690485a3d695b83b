// Plans of CSV and rows that fit them, at random, and how rows are spoiled.
#ifndef TFKAFKA_TESTS_CSV_ROWS_H
#define TFKAFKA_TESTS_CSV_ROWS_H

#include <cmath>
#include <limits>
#include <set>
#include <type_traits>

#include "cells.h"

// Longer names with quotes in them are left to Python.
constexpr size_t UNESCAPED = 256;

inline const std::vector<std::string> ODD_ROWS = {
    "", ",", "\n", "\r\n", "\"", "\"\"", "\"\"\"", "\"\"\"\"", "\",\"", "\"a\nb\",1", "1,2,3\n\n",
    "\n\n1,2", "1\n2", "1,\n2", "1,\r2", "1,2\r", "\"1\"x,2", " \"1\",2", "1 ,2 ", "\t1,\t2",
    "1,2,", ",1,2", "\xef\xbb\xbf" "1,2", std::string("1\0,2", 4), "nan,inf", "-inf,+nan",
    "Infinity,infinit", "1e999,-1e999", "1e-999,0e999999999", "+1,-0", "++1,+-1", "0x10,1_0",
    "9223372036854775807,9223372036854775808", "-9223372036854775808,-9223372036854775809",
    "2147483647,2147483648", "-2147483648,-2147483649", "1.,.5", ".,e1", "1e,1e+", "1.5,1.5.5",
    "00000000000000000000000000000000001,1", "\"\xff\",\x80\x81", "1,2 3", "\x0b" "1,\x0c" "2",
};

inline const std::vector<std::string> ODD_PIECES = {
    "\"", "\"\"", ",", ",,", "\n", "\r", " ", "\t", "\x0b", std::string(1, 0), "\xff", "nan", "inf",
    "-", "+", ".", "e", "e308", "e-400", "0x", "1", "99999999999999999999", "000000000", "_",
};

inline std::string text_of(Random& random, int64_t longest) {
  static const std::string letters = "ab,\" \n\r\tx-1\x80\xff";
  std::string text(random.between(0, longest), 0);
  for (char& c : text) c = letters[random.between(0, letters.size() - 1)];
  return text;
}

inline Classes make_classes(Random& random) {
  std::set<std::string, ByLength> names;
  for (int64_t count = random.between(1, 9); count; count--)
    names.insert(text_of(random, random.one_in(30) ? 400 : 6));
  return Classes({names.begin(), names.end()}, random);
}

inline std::string quoted(const std::string& text) {
  std::string made = "\"";
  for (char c : text) made += c == '"' ? "\"\"" : std::string(1, c);
  return made + "\"";
}

inline std::string maybe_quoted(const std::string& text, Random& random) {
  return text.find_first_of(",\"\r\n") != text.npos || random.one_in(4) ? quoted(text) : text;
}

struct Column {
  int32_t type;
  bool may_miss;
  double fill;
  int classes;  // -1: numbers
};

// A row; `cells` is empty where the text was spoiled.
struct Row {
  std::string text;
  std::vector<uint64_t> cells;  // as far as its type is wide
};

template <typename T>
std::string number(Random& random, uint64_t* cell) {
  T value;
  char text[400];
  if constexpr (std::is_floating_point_v<T>) {
    do {
      const uint64_t bits = random.bits();
      memcpy(&value, &bits, sizeof value);
      if (random.one_in(2)) value = static_cast<T>(random.between(-1000, 1000)) / 64;
    } while (!std::isfinite(value));
    const int digits = std::numeric_limits<T>::max_digits10;
    snprintf(text, sizeof text, random.one_in(2) ? "%.*g" : "%.*e", digits, value);
  } else {
    value = static_cast<T>(random.bits() >> random.between(0, 63));
    snprintf(text, sizeof text, "%lld", static_cast<long long>(value));
  }
  *cell = bits_of(value);
  std::string made = *text != '-' && random.one_in(9) ? "+" : "";
  made += text;
  if (random.one_in(5)) made = " " + made + "\t ";
  return random.one_in(5) ? quoted(made) : made;
}

struct Plan {
  explicit Plan(Random& random)
      : count(random.between(1, random.one_in(2) ? 2 : 12)), finite(random.one_in(2)) {
    for (int64_t at = 0; at < count; at++) {
      if (random.one_in(3)) continue;
      const bool has_classes = random.one_in(3);
      if (has_classes) classes.push_back(make_classes(random));
      const int which = has_classes ? static_cast<int>(classes.size()) - 1 : -1;
      numbers.push_back(at);
      columns.push_back({static_cast<int32_t>(random.between(TK_FLOAT32, TK_INT64)),
                         !has_classes && random.one_in(3),
                         static_cast<double>(random.between(-9, 9)), which});
    }
  }

  std::string field(const Column& column, Random& random, uint64_t* cell) const {
    if (column.classes >= 0) {
      const Classes& own = classes[column.classes];
      size_t which = random.between(0, own.names.size() - 1);
      // Those that are found here.
      while (own.names[which].find('"') != std::string::npos &&
             quoted(own.names[which]).size() - 2 > UNESCAPED && which)
        which--;
      *cell = as(column.type, static_cast<double>(own.indices[which]));
      return maybe_quoted(own.names[which], random);
    }
    if (column.may_miss && random.one_in(3)) {
      *cell = as(column.type, column.fill);
      return random.of<std::string>({"", " ", "\"\"", "\" \t\""});
    }
    switch (column.type) {
      case TK_FLOAT32: return number<float>(random, cell);
      case TK_FLOAT64: return number<double>(random, cell);
      case TK_INT32: return number<int32_t>(random, cell);
      default: return number<int64_t>(random, cell);
    }
  }

  Row row(Random& random) const {
    Row made;
    for (int64_t at = 0, next = 0; at < count; at++) {
      if (at) made.text += ',';
      if (next < static_cast<int64_t>(numbers.size()) && numbers[next] == at) {
        made.cells.push_back(0);
        made.text += field(columns[next++], random, &made.cells.back());
      } else {
        made.text += maybe_quoted(text_of(random, 12), random);
      }
    }
    if (random.one_in(4)) made.text += "\r\n";
    return made;
  }

  int64_t count;
  bool finite;
  std::vector<int64_t> numbers;
  std::vector<Column> columns;
  std::vector<Classes> classes;
};

inline void spoil(std::string& text, Random& random) {
  for (int64_t edits = random.between(1, 4); edits; edits--) {
    const int64_t at = random.between(0, text.size());
    switch (random.between(0, 4)) {
      case 0: text.insert(at, random.of(ODD_PIECES)); break;
      case 1: text.erase(at, random.between(0, 5)); break;
      case 2: text.insert(at, text.substr(0, random.between(0, 20))); break;
      case 3: text.insert(at, random.bytes(1)); break;
      default: text = random.one_in(2) ? text.substr(0, at) : random.of(ODD_ROWS);
    }
  }
}

#endif
