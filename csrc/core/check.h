// Checks that throw, with the values in the message.
//
// They guard the doors of the library (constructors, bindings, plans). Operations of THE LIST never call
// them: an operation runs on a whole team of threads, and everything was checked before the team started.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace chainrule {

/// The text of all arguments, one after the other.
template <class... Parts> std::string text(const Parts&... parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

/// Throws std::invalid_argument (ValueError in Python) with the text of `parts`.
template <class... Parts> [[noreturn]] void fail(const Parts&... parts) { throw std::invalid_argument(text(parts...)); }

/// The same unless `condition` holds.
template <class... Parts> void check(bool condition, const Parts&... parts) {
  if (!condition) fail(parts...);
}

} // namespace chainrule
