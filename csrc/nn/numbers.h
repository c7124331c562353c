// Checks of the numbers that options bring.
#pragma once

#include <cmath>

#include "core/check.h"

namespace chainrule {

/// Checks a number that must be finite and at least 0, also once it is rounded to T.
template <class T> double representable(const char* name, double value) {
  check(value >= 0 && std::isfinite(static_cast<T>(value)), name, " must be a finite number of at least 0",
        sizeof(T) == 4 ? " in float32" : "", "; got ", value);
  return value;
}

/// Checks a decay rate of a running mean.
inline double decay_rate(const char* name, double value) {
  check(value >= 0 && value < 1, name, " must be at least 0 and below 1; got ", value);
  return value;
}

} // namespace chainrule
