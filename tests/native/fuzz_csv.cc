// Fuzzes the parser of CSV, the search for classes and the gathering of bytes.
//
// fuzz_csv SECONDS SEED
//
// A round makes a plan and rows that fit it, and spoils some of them. It checks that a row that was
// not spoiled becomes its values; that nothing is written beside the cells of the rows asked for;
// and that a row becomes the same alone, in a part and among all.
#include <cmath>

#include "csv_rows.h"

namespace {

constexpr uint8_t UNTOUCHED = 0xA5;
constexpr int64_t CELL = 8;
struct Parsed {
  Exactly<int32_t> marks;
  Exactly<uint8_t> cells;
};

constexpr int32_t NO_MARK = 12345;

// Parses the rows [first, last), and checks what is written.
Parsed parse(const Plan& plan, const Strings& rows, const std::vector<uint8_t>& nulls,
             int64_t first, int64_t last) {
  const int64_t count = nulls.size(), width = plan.columns.size(), stride = CELL * width;
  Parsed parsed{Exactly<int32_t>(count, NO_MARK), Exactly<uint8_t>(count * stride, UNTOUCHED)};
  std::vector<TkCsvColumn> wanted;
  for (int64_t i = 0; i < width; i++) {
    const Column& column = plan.columns[i];
    wanted.push_back({plan.numbers[i], parsed.cells.data() + CELL * i, stride,
                      column.classes < 0 ? nullptr : &plan.classes[column.classes].native,
                      column.fill, column.type, column.may_miss});
  }
  const TkCsv csv = {plan.count, width, wanted.data(), plan.finite};
  const int64_t marked = tk_parse_csv(&csv, rows.buffer.data(), rows.offsets.data(), nulls.data(),
                                      first, last, parsed.marks.data());
  int64_t seen = 0;
  for (int64_t row = 0; row < count; row++) {
    const int32_t mark = parsed.marks[row];
    const bool is_asked = row >= first && row < last;
    CHECK(is_asked || mark == NO_MARK, "row %ld was not asked for", row);
    CHECK(!is_asked || (mark >= -1 && mark <= width), "row %ld: mark %d", row, mark);
    CHECK(!is_asked || !nulls[row] || mark == -1, "row %ld is null: mark %d", row, mark);
    seen += is_asked && mark;
    for (int64_t i = 0; i < width; i++) {
      const bool is_half = plan.columns[i].type == TK_FLOAT32 || plan.columns[i].type == TK_INT32;
      const uint8_t* cell = &parsed.cells[row * stride + CELL * i];
      for (int64_t at = is_asked ? (is_half ? 4 : 8) : 0; at < CELL; at++)
        CHECK(cell[at] == UNTOUCHED, "row %ld, column %ld: byte %ld was written", row, i, at);
    }
  }
  CHECK(seen == marked, "%ld marks, %ld were returned", seen, marked);
  return parsed;
}

// Whether the row of one is the row of another.
void compare(const Plan& plan, const Parsed& one, int64_t row, const Parsed& other, int64_t there) {
  CHECK(one.marks[row] == other.marks[there], "row %ld: %d and %d", row, one.marks[row],
        other.marks[there]);
  const int64_t stride = CELL * plan.columns.size();
  if (stride && !one.marks[row])
    CHECK(!memcmp(&one.cells[row * stride], &other.cells[there * stride], stride), "row %ld", row);
}

int64_t fuzz_rows(Random& random) {
  const Plan plan(random);
  std::vector<Row> rows(random.between(1, 40));
  std::vector<std::string> texts;
  std::vector<uint8_t> nulls(rows.size());
  for (size_t i = 0; i < rows.size(); i++) {
    rows[i] = plan.row(random);
    nulls[i] = random.one_in(20);
    if (random.one_in(2)) spoil(rows[i].text, random), rows[i].cells.clear();
    texts.push_back(nulls[i] ? "" : rows[i].text);
  }
  const int64_t count = rows.size(), width = plan.columns.size();
  const Parsed all = parse(plan, Strings(texts), nulls, 0, count);
  const int64_t first = random.between(0, count), last = random.between(first, count);
  const Parsed part = parse(plan, Strings(texts), nulls, first, last);
  for (int64_t row = first; row < last; row++) compare(plan, all, row, part, row);
  for (int64_t row = 0; row < count; row++) {
    compare(plan, all, row, parse(plan, Strings({texts[row]}), {nulls[row]}, 0, 1), 0);
    for (int64_t i = 0; i < width && !nulls[row] && !all.marks[row]; i++) {
      const uint8_t* cell = &all.cells[CELL * (row * width + i)];
      const Column& column = plan.columns[i];
      double value = 0;
      float narrow = 0;
      memcpy(&value, cell, sizeof value);
      memcpy(&narrow, cell, sizeof narrow);
      if (plan.finite && column.classes < 0 && column.type <= TK_FLOAT64)
        CHECK(std::isfinite(column.type == TK_FLOAT64 ? value : narrow), "row %ld: %ld", row, i);
      const size_t size = column.type == TK_FLOAT32 || column.type == TK_INT32 ? 4 : 8;
      if (!rows[row].cells.empty())
        CHECK(!memcmp(cell, &rows[row].cells[i], size), "row %ld, column %ld: %s", row, i,
              texts[row].c_str());
    }
  }
  return count;
}

// Whole numbers around the least and the greatest.
int64_t fuzz_limits(Random& random) {
  Plan plan(random);
  const bool is_wide = random.one_in(2), is_negative = random.one_in(2);
  const uint64_t most = (is_wide ? INT64_MAX : INT32_MAX) + static_cast<uint64_t>(is_negative);
  const uint64_t size = most + random.between(-20, 20);
  plan.count = 1;
  plan.numbers = {0};
  plan.columns = {{is_wide ? TK_INT64 : TK_INT32, false, 0, -1}};
  const std::string text = (is_negative ? "-" : "") + std::to_string(size);
  const Parsed parsed = parse(plan, Strings({text}), {0}, 0, 1);
  CHECK((parsed.marks[0] == 0) == (size <= most), "%s", text.c_str());
  return 1;
}

int64_t fuzz_classes(Random& random) {
  const Classes classes = make_classes(random);
  std::vector<std::string> texts(random.between(1, 40));
  std::vector<uint8_t> nulls(texts.size());
  for (std::string& text : texts)
    text = random.one_in(2) ? random.of(classes.names) : text_of(random, 6);
  for (uint8_t& null : nulls) null = random.one_in(9);
  const Exactly<int64_t> found(texts.size());
  const Strings strings(texts);
  tk_find_classes(&classes.native, strings.buffer.data(), strings.offsets.data(), nulls.data(), 0,
                  texts.size(), found.data());
  for (size_t i = 0; i < texts.size(); i++)
    CHECK(found[i] == (nulls[i] ? -1 : classes.find(texts[i])), "entry %zu", i);
  return texts.size();
}

int64_t fuzz_gather(Random& random) {
  const std::string text = random.bytes(random.between(0, 300));
  const Exactly<uint8_t> buffer = exactly(text);
  std::vector<const uint8_t*> entries(random.between(1, 40));
  std::vector<int64_t> bounds{0};
  std::string expected;
  for (const uint8_t*& entry : entries) {
    const int64_t start = random.between(0, text.size());
    entry = buffer.data() + start;
    expected += text.substr(start, random.between(0, text.size() - start));
    bounds.push_back(expected.size());
  }
  const Exactly<uint8_t> out(expected.size());
  tk_gather(entries.data(), bounds.data(), out.data(), entries.size());
  CHECK(!memcmp(out.data(), expected.data(), out.size), "%zu entries", entries.size());
  return entries.size();
}

}  // namespace

int main(int argc, char** argv) {
  return repeat(argc, argv, [](uint64_t seed) {
    Random random(seed);
    return fuzz_rows(random) + fuzz_limits(random) + fuzz_classes(random) + fuzz_gather(random);
  });
}
