// What of librdkafka a fuzzer does not take the place of: the library must find it, and may not
// call it.
#include "../../tfkafka/native/librdkafka.h"
#include "check.h"

#define F(name, result, arguments)                            \
  extern "C" __attribute__((weak)) result name arguments {    \
    CHECK(false, #name " is called");                         \
  }
TK_LIBRDKAFKA(F)
#undef F
