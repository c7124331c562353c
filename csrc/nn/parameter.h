// Parameters: what a layer asks the arena for, and where it got it.
#pragma once

#include <string>
#include <vector>

#include "core/view.h"
#include "nn/initializers/initializer.h"

namespace chainrule {

/// Elements that n parameters of type T take in the arena: each array starts on a cache line of its own.
template <class T> constexpr Index arena_extent(Index n) {
  constexpr Index line = static_cast<Index>(alignment_bytes / sizeof(T));
  return (n + line - 1) / line * line;
}

/// One array of parameters of a layer.
struct Parameter {
  std::string name; // "weight", "bias"
  std::vector<Index> shape;
  bool is_bias = false; // penalties leave biases alone unless told otherwise
  Initializer start;
  Index fan_in = 0, fan_out = 0;
  Index offset = 0; // elements from the start of the arena; set by the network

  Index size() const {
    Index product = 1;
    for (Index extent : shape) product *= extent;
    return product;
  }
};

} // namespace chainrule
