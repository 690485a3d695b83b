#include <cstring>

#include "tfkafka_native.h"

int32_t tk_abi() { return TFKAFKA_ABI; }

void tk_gather(const uint8_t* buffer, const int64_t* starts, const int64_t* lengths, uint8_t* out,
               int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    if (lengths[i]) memcpy(out, buffer + starts[i], lengths[i]);
    out += lengths[i];
  }
}
