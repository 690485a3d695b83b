#include <cstring>

#include "tfkafka_native.h"

int32_t tk_abi() { return TFKAFKA_ABI; }

void tk_gather(const uint8_t* const* entries, const int64_t* bounds, uint8_t* out,
               int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const int64_t length = bounds[i + 1] - bounds[i];
    if (length) memcpy(out + bounds[i], entries[i], length);
  }
}

void tk_join_numbers(const uint8_t* prefixes, const int64_t* prefix_offsets, const int32_t* sources,
                     const int64_t* numbers, const uint8_t* suffix, int64_t suffix_length,
                     int64_t count, uint8_t* out, int64_t* out_offsets) {
  const uint8_t* start = out;
  out_offsets[0] = 0;
  for (int64_t i = 0; i < count; i++) {
    const int64_t begin = prefix_offsets[sources[i]];
    const int64_t length = prefix_offsets[sources[i] + 1] - begin;
    memcpy(out, prefixes + begin, length);
    out += length;
    uint8_t digits[20], *first = digits + sizeof digits;
    uint64_t number = static_cast<uint64_t>(numbers[i]);
    do {
      *--first = static_cast<uint8_t>('0' + number % 10);
      number /= 10;
    } while (number);
    const int64_t digit_count = digits + sizeof digits - first;
    memcpy(out, first, digit_count);
    out += digit_count;
    memcpy(out, suffix, suffix_length);
    out += suffix_length;
    out_offsets[i + 1] = out - start;
  }
}
