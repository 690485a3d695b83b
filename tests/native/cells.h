// What the fuzzers of both parsers share: names of classes, and the bytes of values.
#ifndef TFKAFKA_TESTS_CELLS_H
#define TFKAFKA_TESTS_CELLS_H

#include "../../tfkafka/native/tfkafka_native.h"
#include "check.h"

struct Classes {
  Classes(const std::vector<std::string>& sorted, Random& random)
      : names(sorted), strings(sorted), indices(sorted.size()) {
    for (int64_t& index : indices) index = random.between(0, 1000);
    native = {static_cast<int64_t>(names.size()), strings.buffer.data(), strings.offsets.data(),
              indices.data()};
  }
  int64_t find(const std::string& name) const {
    for (size_t i = 0; i < names.size(); i++)
      if (names[i] == name) return indices[i];
    return -1;
  }
  std::vector<std::string> names;
  Strings strings;
  std::vector<int64_t> indices;
  TkClasses native;
};

struct ByLength {
  bool operator()(const std::string& a, const std::string& b) const {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  }
};

template <typename T>
uint64_t bits_of(T value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return bits;
}

inline uint64_t as(int32_t type, double value) {
  switch (type) {
    case TK_FLOAT32: return bits_of(static_cast<float>(value));
    case TK_FLOAT64: return bits_of(value);
    case TK_INT32: return bits_of(static_cast<int32_t>(value));
    default: return bits_of(static_cast<int64_t>(value));
  }
}

#endif
