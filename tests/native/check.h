// What the drivers share: a check that ends the program, random numbers, arrays of exact size.
#ifndef TFKAFKA_TESTS_CHECK_H
#define TFKAFKA_TESTS_CHECK_H

#include <sanitizer/common_interface_defs.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

inline unsigned long long running_seed;

// abort(), so that a core and a sanitizer's stack remain.
#define CHECK(condition, ...)                                                 \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
      fprintf(stderr, __VA_ARGS__);                                           \
      fprintf(stderr, "; seed %llu\n", running_seed);                         \
      abort();                                                                \
    }                                                                         \
  } while (0)

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t bits() { return engine_(); }
  // In [low, high].
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  bool one_in(int64_t n) { return between(1, n) == 1; }
  std::string bytes(int64_t size) {
    std::string made(size, 0);
    for (int64_t at = 0; at < size; at += sizeof(uint64_t)) {
      const uint64_t some = bits();
      memcpy(&made[at], &some, std::min<int64_t>(sizeof some, size - at));
    }
    return made;
  }
  template <typename T>
  const T& of(const std::vector<T>& choices) {
    return choices[between(0, choices.size() - 1)];
  }

 private:
  std::mt19937_64 engine_;
};

// An array that ends where its memory does, so that the address sanitizer sees what reads or writes
// beyond it. As NumPy's, an empty one has an address.
template <typename T>
struct Exactly {
  explicit Exactly(size_t size, T value = {}) : size(size), at(new T[size]) {
    std::fill_n(at.get(), size, value);
  }
  T* data() const { return at.get(); }
  T& operator[](int64_t i) const { return at[i]; }
  size_t size;
  std::unique_ptr<T[]> at;
};

inline Exactly<uint8_t> exactly(const std::string& text) {
  Exactly<uint8_t> made(text.size());
  memcpy(made.data(), text.data(), text.size());
  return made;
}

// Strings one after another, as in Arrow.
struct Strings {
  explicit Strings(const std::vector<std::string>& all) : offsets(all.size() + 1), buffer(0) {
    std::string joined;
    for (size_t i = 0; i < all.size(); i++) {
      joined += all[i];
      offsets[i + 1] = joined.size();
    }
    buffer = exactly(joined);
  }
  Exactly<int64_t> offsets;
  Exactly<uint8_t> buffer;
};

inline uint64_t milliseconds() {
  using namespace std::chrono;
  return duration_cast<std::chrono::milliseconds>(steady_clock::now().time_since_epoch()).count();
}

// Runs `round` with a new seed each time for `seconds`, and prints how often. A seed whose round is
// to be repeated is the first, with 0 seconds.
template <typename Round>
int repeat(int argc, char** argv, Round round) {
  CHECK(argc == 3, "usage: %s SECONDS SEED", argv[0]);
  __sanitizer_set_death_callback([] { fprintf(stderr, "seed %llu\n", running_seed); });
  const uint64_t stop = milliseconds() + 1000 * strtoull(argv[1], nullptr, 10);
  uint64_t rounds = 0, things = 0, seed = strtoull(argv[2], nullptr, 10);
  do {
    running_seed = seed;
    things += round(seed++);
    rounds++;
  } while (milliseconds() < stop);
  printf("%s: %llu rounds, %llu entries, without a finding; the next seed is %llu\n", argv[0],
         static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(things),
         static_cast<unsigned long long>(seed));
  return 0;
}

#endif
