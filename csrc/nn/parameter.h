// Parameters: what a layer asks the arena for, and where it got it.
//
// The arena holds all that makes a network what it is, so that one copy is a snapshot: what is learned, what is counted
// along, and what is given once and for all.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels.h"
#include "nn/initializers/initializer.h"

namespace chainrule {

/// Elements that n parameters of type T take in the arena: each array starts on a cache line of its own.
template <class T> constexpr Index arena_extent(Index n) {
  constexpr Index line = static_cast<Index>(alignment_bytes / sizeof(T));
  return (n + line - 1) / line * line;
}

/// What an array is to its layer. The first four are learned; penalties count weights and biases alone.
enum class Role {
  weight,
  bias,
  scale,     // gamma of a normalization
  shift,     // beta of a normalization
  statistic, // not learned, but kept: a running mean, or the mean of the training rows
  constant   // given with the layer: a mask. Not shown, not saved
};

/// What the incoming weights of a unit must obey after each update (kernels.h).
struct Constraint {
  ColumnConstraint kind = ColumnConstraint::max_norm;
  double limit = 1;
};

/// One array of a layer.
struct Parameter {
  std::string name; // "weight", "bias"
  std::vector<Index> shape;
  Role role = Role::weight;
  Initializer start;
  Index fan_in = 0, fan_out = 0;
  std::optional<Constraint> constraint{};

  // Set by the network:
  Index layer = 0;     // number of its layer
  Index offset = 0;    // elements from the start of the arena
  bool frozen = false; // whether its layer is not to learn

  Index size() const {
    Index product = 1;
    for (Index extent : shape) product *= extent;
    return product;
  }
  bool can_learn() const { return role != Role::statistic && role != Role::constant; }
  bool learns() const { return can_learn() && !frozen; }
};

} // namespace chainrule
