// Checks of the numbers that options bring.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/check.h"

namespace chainrule {

/// Checks a number that must be finite and at least 0, also once it is rounded to T.
template <class T> double representable(const char* name, double value) {
  check(value >= 0 && std::isfinite(static_cast<T>(value)), name, " must be a finite number of at least 0",
        sizeof(T) == 4 ? " in float32" : "", "; got ", value);
  return value;
}

/// Checks a number that must be finite and above 0, also once it is rounded to T.
template <class T> double positive(const char* name, double value) {
  check(representable<T>(name, value) > 0 && static_cast<T>(value) > 0, name, " must be above 0",
        sizeof(T) == 4 ? " in float32" : "", "; got ", value);
  return value;
}

/// Checks a share that cannot be the whole: the decay of a running mean, the rate of a dropout.
inline double below_one(const char* name, double value) {
  check(value >= 0 && value < 1, name, " must be at least 0 and below 1; got ", value);
  return value;
}

/// 1 - beta^t: how much of a running mean that began at 0 has been filled after t steps.
inline double filled(double beta, std::uint64_t t) { return 1 - std::pow(beta, static_cast<double>(t)); }

} // namespace chainrule
