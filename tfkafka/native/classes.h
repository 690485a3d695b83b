// Finding a name among sorted ones.
#ifndef TFKAFKA_CLASSES_H
#define TFKAFKA_CLASSES_H

#include <cstring>

#include "tfkafka_native.h"

// Returns the index of a class; -1: there is none of this name.
inline int64_t find_class(const TkClasses& classes, const char* name, int64_t length) {
  int64_t low = 0, high = classes.count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const uint8_t* other = classes.buffer + classes.offsets[middle];
    const int64_t longer = classes.offsets[middle + 1] - classes.offsets[middle] - length;
    const int64_t order = longer ? longer : memcmp(other, name, length);
    if (!order) return classes.indices[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return -1;
}

#endif
