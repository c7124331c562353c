// Data: the rows that an epoch walks, as views of what the caller holds.
#pragma once

#include "kernels.h"

namespace chainrule {

template <class T> struct Data {
  MatrixView<const T> x{};   // (N, inputs)
  Targets<T> targets{};      // labels (N), or values (N, K)
  const T* weight = nullptr; // (N), or null for 1

  Index rows() const { return x.rows; }
};

} // namespace chainrule
