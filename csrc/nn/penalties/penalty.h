// Penalty: what is added to the loss for the parameters themselves, and to their gradients.
#pragma once

#include <span>

#include "nn/parameter.h"
#include "nn/pass.h"

namespace chainrule {

template <class T> class Penalty {
public:
  virtual ~Penalty() = default;

  /// The penalty of parameters w (the arena). `blocks` has room for the block sums of the whole arena (sum_block in
  /// kernels.h). Called by all threads, each of which gets the result; ends with a barrier.
  virtual double value(const Pass<T>&, std::span<const Parameter> parameters, const T* w, double* blocks) const = 0;

  /// g += the penalty's gradient at w, each of the arena's size. Called by all threads. An element is read and
  /// written by the thread that owns it in kernels.add_scaled; the caller places a barrier after it.
  virtual void add_gradient(const Pass<T>&, std::span<const Parameter> parameters, const T* w, T* g) const = 0;
};

} // namespace chainrule
