// Functions of somebody else's native code, as chainrule/native.h declares them, for either precision; what keeps the
// code, and what `user` points to, in memory; and the blocks in which such code sees its arrays.
#pragma once

#include <memory>
#include <type_traits>

#include "chainrule/native.h"
#include "core/team.h"

namespace chainrule {

template <class T> struct NativeTypes;
template <> struct NativeTypes<float> {
  using Forward = chainrule_forward_float32;
  using Backward = chainrule_backward_float32;
  using RowLoss = chainrule_row_loss_float32;
};
template <> struct NativeTypes<double> {
  using Forward = chainrule_forward_float64;
  using Backward = chainrule_backward_float64;
  using RowLoss = chainrule_row_loss_float64;
};

/// A function, its `user`, and their owner.
template <class Function> struct NativeFunction {
  Function call = nullptr;
  void* user = nullptr;
  std::shared_ptr<const void> owner;
};

/// Calls body(first, last) for the blocks of [0, size) that are this member's. They are cut by shape alone: a compiler
/// may compute the ends of an array in another way than the rest, and still no result depends on the number of threads.
template <class Body> void for_blocks(const Team& team, Index size, Index block, Body body) {
  const Range share = team.share(size, block);
  for (Index first = share.begin; first < share.end; first += block) {
    body(first, first + block < share.end ? first + block : share.end);
  }
}

} // namespace chainrule
