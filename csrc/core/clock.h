// The clock that slices of work are measured by.
#pragma once

#include <chrono>

namespace chainrule {

/// Seconds on a clock that never goes back.
inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace chainrule
