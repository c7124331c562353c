// Functions of somebody else's native code, as chainrule/native.h declares them, for either precision; and what keeps
// the code, and what `user` points to, in memory.
#pragma once

#include <memory>
#include <type_traits>

#include "chainrule/native.h"

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

} // namespace chainrule
