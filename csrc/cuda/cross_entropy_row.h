// The cross-entropy of one row of logits and its gradient, by the threads that have the row.
//
//   l = sum_j y'_j (log sum_i exp(z_i - m) + (m - z_j))     dl/dz_j = f_j sum(y') - y'_j
//
// with f = softmax(z), m = max z, and y' = (1 - smoothing) y + smoothing / K. Only differences of logits are taken, so
// that large ones lose nothing; a class with y'_j = 0 adds nothing, even where its logit is -infinity. For a class
// number, y is 1 at that class and 0 elsewhere.
//
// Where a row lies, and which threads share it, is the caller's:
//
//   row[j]            element j
//   gradient(j, d)    takes element j of the gradient; false as a condition where nobody wants it
//   lanes             the calling thread has the elements lanes.first, lanes.first + lanes.step, ...; lanes.sum(v) and
//                     lanes.greatest(v) fold over the threads of the row
//
// A thread reads and gives no elements but its own, and gives one after the last time it reads it: gradients may lie
// where the row lies.
#pragma once

#include "cuda/reduce.h"
#include "kernels.h"

namespace chainrule::cuda {

/// How targets y become y': y' = keep y + floor.
template <class T> struct Smoothing { T keep, floor; };

template <class T> constexpr Smoothing<T> smoothing_of(double smoothing, Index classes) {
  return {T(1 - smoothing), T(smoothing / static_cast<double>(classes))};
}

/// y' of a row whose target is a class number.
template <class T> struct LabelTarget {
  static constexpr bool sums_to_one = true;
  Index label;
  T at_label, elsewhere;
  __device__ T operator()(Index j) const { return j == label ? at_label : elsewhere; }
  /// Whether class j counts at all where rows are probabilities: without smoothing the others do not, be they NaN.
  __device__ bool looks_at(Index j) const { return elsewhere != 0 || j == label; }
};

/// y' of a row whose target is a number for each class.
template <class T> struct ValueTarget {
  static constexpr bool sums_to_one = false;
  const T* y;
  Smoothing<T> smoothing;
  __device__ T operator()(Index j) const { return smoothing.keep * y[j] + smoothing.floor; }
  __device__ bool looks_at(Index) const { return true; }
};

template <class T> __device__ LabelTarget<T> row_target(const std::int32_t* labels, Smoothing<T> smoothing, Index i) {
  return {labels[i], smoothing.keep + smoothing.floor, smoothing.floor};
}
template <class T> __device__ ValueTarget<T> row_target(MatrixView<const T> values, Smoothing<T> smoothing, Index i) {
  return {values.data + i * values.stride, smoothing};
}

/// Loss of a row of logits z (K); its gradient times `factor`.
template <class T, class Row, class Target, class Gradient, class Lanes>
__device__ T loss_from_logits(Row z, Index classes, Target target, T factor, Gradient dz, Lanes lanes) {
  T most = -std::numeric_limits<T>::infinity();
  for (Index j = lanes.first; j < classes; j += lanes.step) most = Greater{}(most, T(z[j]));
  most = lanes.greatest(most);
  T total = 0, distance = 0, targets = 0;
  for (Index j = lanes.first; j < classes; j += lanes.step) {
    const T below = most - z[j], y = target(j);
    total += std::exp(-below);
    distance += y == 0 ? T(0) : y * below;
    targets += y;
  }
  total = lanes.sum(total);
  distance = lanes.sum(distance);
  targets = Target::sums_to_one ? T(1) : lanes.sum(targets);
  if (dz) {
    const T share = targets / total;
    for (Index j = lanes.first; j < classes; j += lanes.step) {
      dz(j, factor * (std::exp(z[j] - most) * share - target(j)));
    }
  }
  return targets * std::log(total) + distance;
}

} // namespace chainrule::cuda
