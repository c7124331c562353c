// Words for the members of an enumeration: the names stand in an array in the order of the enumerators.
#pragma once

#include <cstddef>
#include <string>

#include "core/check.h"

namespace chainrule {

/// The enumerator whose name is `name`; throws a message that lists the known names. `also` is known to the caller.
template <class Enum, std::size_t N>
Enum named(const char* const (&names)[N], const char* what, const std::string& name, const char* also = nullptr) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (name == names[i]) return static_cast<Enum>(i);
    known += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  if (also != nullptr) known += std::string(", ") + also;
  fail("unknown ", what, " \"", name, "\"; known are: ", known);
}

} // namespace chainrule
