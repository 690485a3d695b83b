// Fuzzes the parser of JSON.
//
// fuzz_json SECONDS SEED
//
// A round makes a plan and records that fit it, and spoils some of them. It checks that a record
// that was not spoiled becomes its values; that nothing is written beside the cells of the records
// asked for; and that a record becomes the same alone, in a part and among all.
#include "cells.h"

namespace {

constexpr uint8_t UNTOUCHED = 0xA5;
constexpr int64_t CELL = 8;
constexpr int64_t MOST_ITEMS = 4;

const std::vector<std::string> PIECES = {
    "\"", "\\", "\\u", "\\u00e9", "\\n", "{", "}", "[", "]", ",", ":", "{}", "[]", " ", "\n", "null",
    "true", "fals", "1", "-", "0", ".", "e", "1e400", "9223372036854775808", "NaN", "\"a\":1,",
    "\x80", "\xc3\xa9", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\xff", std::string(1, 0), "\x1f",
    std::string(70, '['), std::string(70, '{'),
};

// A field's name begins with that of the object that it is in.
const std::vector<std::string> OBJECTS = {"", "o", "oo"};

struct JsonField {
  std::string name;
  int64_t object;
  std::vector<int64_t> shape;
  int32_t type;
  bool is_whole, may_miss;
  double fill;
  int classes;  // -1: numbers
  int64_t size() const {
    int64_t size = 1;
    for (int64_t each : shape) size *= each;
    return size;
  }
};

struct JsonPlan {
  explicit JsonPlan(Random& random) : finite(random.one_in(2)) {
    for (int64_t number = random.between(1, 7); number; number--) {
      JsonField field = {};
      field.name = std::string(random.between(1, 12), 'a') + std::to_string(number);
      field.object = random.between(0, OBJECTS.size() - 1);
      field.shape = random.of<std::vector<int64_t>>({{}, {}, {2}, {2, 2}, {1}});
      field.type = random.between(TK_FLOAT32, TK_INT64);
      field.is_whole = field.type >= TK_INT32 || random.one_in(4);
      field.may_miss = random.one_in(3);
      field.fill = random.between(-9, 9);
      field.classes = -1;
      if (random.one_in(4)) {
        field.classes = classes.size();
        classes.push_back(Classes({"a", "b", "cc"}, random));
      }
      fields.push_back(field);
    }
    // Each object's names, sorted, and after them those of the objects in the record.
    std::vector<std::vector<std::string>> sorted(OBJECTS.size());
    std::vector<std::vector<int64_t>> which(OBJECTS.size());
    for (size_t object = 0; object < OBJECTS.size(); object++) {
      std::vector<std::pair<std::string, TkJsonName>> found;
      for (size_t i = 0; i < fields.size(); i++)
        if (fields[i].object == static_cast<int64_t>(object))
          found.push_back({fields[i].name, {nullptr, 0, static_cast<int64_t>(i), -1}});
      for (size_t i = 1; i < OBJECTS.size() && !object; i++)
        found.push_back({OBJECTS[i], {nullptr, 0, -1, static_cast<int64_t>(i)}});
      std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return ByLength()(a.first, b.first);
      });
      for (auto& [text, name] : found) {
        texts.push_back(std::make_unique<std::string>(text));
        name.text = reinterpret_cast<const uint8_t*>(texts.back()->data());
        name.length = text.size();
        which[object].push_back(names.size());
        sorted[object].push_back(text);
        names.push_back(name);
      }
    }
    for (size_t object = 0; object < OBJECTS.size(); object++) {
      objects.push_back(std::make_unique<Classes>(sorted[object], random));
      objects.back()->indices = which[object];
      objects.back()->native.indices = objects.back()->indices.data();
      natives.push_back(objects.back()->native);
    }
  }
  bool finite;
  std::vector<JsonField> fields;
  std::vector<Classes> classes;
  std::vector<std::unique_ptr<std::string>> texts;
  std::vector<TkJsonName> names;
  std::vector<std::unique_ptr<Classes>> objects;
  std::vector<TkClasses> natives;
};

struct Parsed {
  Exactly<uint8_t> marks, cells;
};

constexpr uint8_t NO_MARK = 99;

// Parses the records [first, last), and checks what is written.
Parsed parse(const JsonPlan& plan, const Strings& rows, const std::vector<uint8_t>& nulls,
             int64_t first, int64_t last) {
  const int64_t count = nulls.size(), width = plan.fields.size();
  const int64_t stride = CELL * MOST_ITEMS * width;
  Parsed parsed{Exactly<uint8_t>(count, NO_MARK), Exactly<uint8_t>(count * stride, UNTOUCHED)};
  std::vector<TkJsonField> wanted;
  for (int64_t i = 0; i < width; i++) {
    const JsonField& field = plan.fields[i];
    const bool is_narrow = field.type == TK_INT32;
    wanted.push_back({parsed.cells.data() + CELL * MOST_ITEMS * i, stride, field.size(),
                      static_cast<int64_t>(field.shape.size()), field.shape.data(),
                      field.classes < 0 ? nullptr : &plan.classes[field.classes].native,
                      field.fill, is_narrow ? INT32_MIN : INT64_MIN,
                      is_narrow ? INT32_MAX : INT64_MAX, field.is_whole, field.type,
                      field.may_miss});
  }
  const int64_t name_count = plan.names.size(), object_count = plan.natives.size();
  const TkJson json = {width, name_count, object_count, wanted.data(), plan.names.data(),
                       plan.natives.data(), plan.finite};
  const Exactly<uint8_t> seen(name_count);
  const Exactly<int64_t> scratch(2 * name_count + object_count);
  const int64_t marked =
      tk_parse_json(&json, rows.buffer.data(), rows.offsets.data(), nulls.data(), first, last,
                    parsed.marks.data(), seen.data(), scratch.data());
  int64_t found = 0;
  for (int64_t row = 0; row < count; row++) {
    const uint8_t mark = parsed.marks[row];
    const bool is_asked = row >= first && row < last;
    CHECK(is_asked ? mark <= 1 : mark == NO_MARK, "row %ld: mark %d", row, mark);
    CHECK(!is_asked || !nulls[row] || mark, "row %ld is null", row);
    found += is_asked && mark;
    for (int64_t i = 0; i < width; i++) {
      const JsonField& field = plan.fields[i];
      const bool is_half = field.type == TK_FLOAT32 || field.type == TK_INT32;
      const uint8_t* cell = &parsed.cells[row * stride + CELL * MOST_ITEMS * i];
      for (int64_t at = is_asked ? field.size() * (is_half ? 4 : 8) : 0; at < CELL * MOST_ITEMS; at++)
        CHECK(cell[at] == UNTOUCHED, "row %ld, field %ld: byte %ld was written", row, i, at);
    }
  }
  CHECK(found == marked, "%ld marks, %ld were returned", found, marked);
  return parsed;
}

std::string blank(Random& random) {
  return random.one_in(5) ? random.of<std::string>({" ", "\n", "\t\r", "  "}) : "";
}

// The text of an item, and what it becomes.
std::string item(const JsonPlan& plan, const JsonField& field, Random& random, double* value) {
  if (field.may_miss && random.one_in(4)) return *value = field.fill, "null";
  if (field.classes >= 0) {
    const Classes& own = plan.classes[field.classes];
    const size_t which = random.between(0, own.names.size() - 1);
    *value = own.indices[which];
    return "\"" + own.names[which] + "\"";
  }
  if (random.one_in(9)) return *value = random.one_in(2), *value ? "true" : "false";
  *value = random.between(-100000, 100000);
  if (!field.is_whole) *value /= 64;
  char text[64];
  snprintf(text, sizeof text, random.one_in(2) ? "%.10g" : "%.9e", *value);
  return text;
}

std::string array(const JsonPlan& plan, const JsonField& field, size_t dimension, Random& random,
                  std::vector<double>* values) {
  if (dimension == field.shape.size()) {
    values->push_back(0);
    return item(plan, field, random, &values->back());
  }
  std::string made;
  for (int64_t i = 0; i < field.shape[dimension]; i++)
    made += (i ? "," : "") + blank(random) + array(plan, field, dimension + 1, random, values) +
            blank(random);
  return "[" + made + "]";
}

struct JsonRow {
  std::string text;
  std::vector<std::vector<double>> values;  // empty where the text was spoiled
};

JsonRow make_row(const JsonPlan& plan, Random& random) {
  JsonRow row;
  std::vector<std::vector<std::string>> members(OBJECTS.size());
  for (const JsonField& field : plan.fields) {
    row.values.push_back({});
    if (field.may_miss && random.one_in(4)) {
      row.values.back().assign(field.size(), field.fill);
      if (random.one_in(2)) continue;
      members[field.object].push_back("\"" + field.name + "\"" + blank(random) + ":null");
      continue;
    }
    const std::string text = array(plan, field, 0, random, &row.values.back());
    members[field.object].push_back("\"" + field.name + "\"" + blank(random) + ":" +
                                    blank(random) + text);
  }
  static const std::vector<std::string> others = {
      "\"z\":[1,{\"a1\":[]},null]", "\"y\":\"\\u00e9 \xc3\xa9\"", "\"\":{}", "\"a\":-1.5e-3"};
  std::string record;
  for (size_t object = OBJECTS.size(); object--;) {
    if (random.one_in(3)) members[object].push_back(random.of(others));
    if (object == 0)
      for (size_t i = 1; i < OBJECTS.size(); i++)
        if (!members[i].empty()) members[0].push_back(members[i].back());
    for (size_t i = members[object].size(); i > 1; i--)
      std::swap(members[object][i - 1], members[object][random.between(0, i - 1)]);
    std::string made;
    for (const std::string& member : members[object])
      made += (made.empty() ? "" : ",") + blank(random) + member + blank(random);
    record = blank(random) + "{" + made + "}" + blank(random);
    if (object && !members[object].empty())
      members[object] = {"\"" + OBJECTS[object] + "\":" + record};
  }
  row.text = record;
  return row;
}

void spoil_json(std::string& text, Random& random) {
  for (int64_t edits = random.between(1, 3); edits; edits--) {
    const int64_t at = random.between(0, text.size());
    switch (random.between(0, 3)) {
      case 0: text.insert(at, random.of(PIECES)); break;
      case 1: text.erase(at, random.between(0, 5)); break;
      case 2: text.insert(at, random.bytes(1)); break;
      default: text = text.substr(0, at);
    }
  }
}

void compare(const JsonPlan& plan, const Parsed& one, int64_t row, const Parsed& other,
             int64_t there) {
  CHECK(one.marks[row] == other.marks[there], "row %ld", row);
  const int64_t stride = CELL * MOST_ITEMS * plan.fields.size();
  if (!one.marks[row])
    CHECK(!memcmp(&one.cells[row * stride], &other.cells[there * stride], stride), "row %ld", row);
}

int64_t fuzz(uint64_t seed) {
  Random random(seed);
  const JsonPlan plan(random);
  std::vector<JsonRow> rows(random.between(1, 20));
  std::vector<std::string> texts;
  std::vector<uint8_t> nulls(rows.size());
  for (size_t i = 0; i < rows.size(); i++) {
    rows[i] = make_row(plan, random);
    nulls[i] = random.one_in(20);
    if (random.one_in(2)) spoil_json(rows[i].text, random), rows[i].values.clear();
    texts.push_back(nulls[i] ? "" : rows[i].text);
  }
  const int64_t count = rows.size();
  const Parsed all = parse(plan, Strings(texts), nulls, 0, count);
  const int64_t first = random.between(0, count), last = random.between(first, count);
  const Parsed part = parse(plan, Strings(texts), nulls, first, last);
  for (int64_t row = first; row < last; row++) compare(plan, all, row, part, row);
  for (int64_t row = 0; row < count; row++) {
    compare(plan, all, row, parse(plan, Strings({texts[row]}), {nulls[row]}, 0, 1), 0);
    if (nulls[row] || rows[row].values.empty()) continue;
    CHECK(!all.marks[row], "row %ld is not taken: %s", row, texts[row].c_str());
    for (size_t i = 0; i < plan.fields.size(); i++) {
      const JsonField& field = plan.fields[i];
      const size_t size = field.type == TK_FLOAT32 || field.type == TK_INT32 ? 4 : 8;
      const uint8_t* cells = &all.cells[CELL * MOST_ITEMS * (row * plan.fields.size() + i)];
      for (int64_t at = 0; at < field.size(); at++) {
        const uint64_t wanted = as(field.type, rows[row].values[i][at]);
        CHECK(!memcmp(cells + at * size, &wanted, size), "row %ld, field %zu, item %ld: %s", row, i,
              at, texts[row].c_str());
      }
    }
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) { return repeat(argc, argv, fuzz); }
