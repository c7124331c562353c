// Replay: work that a device is asked for again and again, a few numbers apart.
#pragma once

#include <functional>

namespace chainrule {

class Replay {
public:
  virtual ~Replay() = default;

  /// Calls `work`, whose operations are put together, and hands them to the device as one. The next time, only what
  /// differs is told. `work` must not look at the device's memory, nor ask for any.
  ///
  /// Returns when the device has begun, at the latest when what it was handed two calls ago is done: so it is never
  /// without work, and never far behind.
  virtual void run(const std::function<void()>& work) = 0;
};

} // namespace chainrule
