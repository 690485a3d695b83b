// Fuzzes the search for features of tf.train.Example.
//
// fuzz_example SECONDS SEED
//
// A round makes maps from names to messages, and spoils some of them. It checks that the values of
// those that were not spoiled are found; that all values are within their map; and that a map
// becomes the same alone and among all.
#include "cells.h"

namespace {

constexpr int64_t NOWHERE = -1, UNTOUCHED = 12345;

struct Map {
  std::string text;
  std::vector<std::string> values;  // of each name
  std::vector<bool> has_value;
  bool is_spoiled;
};

std::string field(int number, const std::string& content) {
  std::string made(1, static_cast<char>(number << 3 | 2));
  for (size_t left = content.size();; left >>= 7) {
    if (left < 0x80) return made + static_cast<char>(left) + content;
    made += static_cast<char>(left | 0x80);
  }
}

Map make_map(const std::vector<std::string>& names, Random& random) {
  Map map = {"", std::vector<std::string>(names.size()), std::vector<bool>(names.size()),
             random.one_in(2)};
  std::vector<std::string> entries;
  for (size_t i = 0; i < names.size(); i++) {
    if (random.one_in(4)) continue;
    map.has_value[i] = true;
    map.values[i] = random.bytes(random.between(0, random.one_in(5) ? 300 : 9));
    entries.push_back(field(1, names[i]) + field(2, map.values[i]));
  }
  if (random.one_in(3)) entries.push_back(field(1, "other") + field(2, random.bytes(3)));
  for (size_t i = entries.size(); i > 1; i--)
    std::swap(entries[i - 1], entries[random.between(0, i - 1)]);
  for (const std::string& entry : entries) map.text += field(1, entry);
  if (!map.is_spoiled) return map;
  for (int64_t edits = random.between(1, 3); edits; edits--) {
    const int64_t at = random.between(0, map.text.size());
    switch (random.between(0, 3)) {
      case 0: map.text.erase(at, random.between(0, 4)); break;
      case 1: map.text.insert(at, random.bytes(random.between(1, 4))); break;
      case 2: map.text += map.text.substr(0, at); break;
      default: map.text.insert(at, std::string(random.between(1, 9), '\xff'));
    }
  }
  return map;
}

struct Found {
  Exactly<int64_t> starts, stops;
  Exactly<uint8_t> is_plain;
};

Found find(const Classes& names, const std::vector<std::string>& texts, int64_t first,
           int64_t last) {
  const Strings strings(texts);
  const int64_t count = texts.size(), size = names.names.size();
  const Found found{Exactly<int64_t>(count * size, UNTOUCHED),
                    Exactly<int64_t>(count * size, UNTOUCHED), Exactly<uint8_t>(count, 9)};
  tk_find_values(&names.native, strings.buffer.data(), strings.offsets.data(),
                 strings.offsets.data() + 1, first, last, count, found.starts.data(),
                 found.stops.data(), found.is_plain.data());
  Found relative = {Exactly<int64_t>(count * size), Exactly<int64_t>(count * size),
                    Exactly<uint8_t>(count)};
  for (int64_t row = 0; row < count; row++) {
    const bool is_asked = row >= first && row < last;
    CHECK(is_asked ? found.is_plain[row] <= 1 : found.is_plain[row] == 9, "row %ld", row);
    relative.is_plain[row] = found.is_plain[row];
    for (int64_t i = 0; i < size; i++) {
      const int64_t start = found.starts[i * count + row], stop = found.stops[i * count + row];
      CHECK(is_asked || (start == UNTOUCHED && stop == UNTOUCHED), "row %ld was not asked for", row);
      const bool is_there = is_asked && start != NOWHERE;
      CHECK(!is_there || (strings.offsets[row] <= start && start <= stop &&
                          stop <= strings.offsets[row + 1]),
            "row %ld, name %ld: from %ld to %ld", row, i, start, stop);
      relative.starts[row * size + i] = is_there ? start - strings.offsets[row] : NOWHERE;
      relative.stops[row * size + i] = is_there ? stop - strings.offsets[row] : NOWHERE;
    }
  }
  return relative;
}

int64_t fuzz(uint64_t seed) {
  Random random(seed);
  Classes names({"b", "x", "name", std::string(random.between(100, 200), 'l')}, random);
  for (size_t i = 0; i < names.indices.size(); i++) names.indices[i] = i;
  const int64_t size = names.names.size();
  std::vector<Map> maps(random.between(1, 9));
  std::vector<std::string> texts;
  for (Map& map : maps) texts.push_back((map = make_map(names.names, random)).text);
  const int64_t count = maps.size();
  const Found all = find(names, texts, 0, count);
  const int64_t first = random.between(0, count);
  find(names, texts, first, random.between(first, count));
  for (int64_t row = 0; row < count; row++) {
    const Found alone = find(names, {texts[row]}, 0, 1);
    CHECK(alone.is_plain[0] == all.is_plain[row], "row %ld", row);
    CHECK(maps[row].is_spoiled || all.is_plain[row], "row %ld is plain", row);
    for (int64_t i = 0; i < size; i++) {
      const int64_t start = all.starts[row * size + i], stop = all.stops[row * size + i];
      CHECK(start == alone.starts[i] && stop == alone.stops[i], "row %ld, name %ld", row, i);
      if (maps[row].is_spoiled) continue;
      CHECK(maps[row].has_value[i] ? maps[row].values[i] == texts[row].substr(start, stop - start)
                                   : start == NOWHERE,
            "row %ld, name %ld: from %ld to %ld", row, i, start, stop);
    }
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) { return repeat(argc, argv, fuzz); }
