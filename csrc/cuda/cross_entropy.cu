// Cross-entropy over the classes of a row, with its gradient in the same call, on the GPU: a warp for each row.
//
//   from logits:         l = sum_j y'_j (log sum_i exp(z_i - m) + (m - z_j))     dl/dz_j = f_j sum(y') - y'_j
//   from probabilities:  l = - sum_j y'_j log f_j,  f within [margin, 1]         dl/dp_j = - y'_j / f_j
//
// with f = softmax(z), m = max z, and y' = (1 - smoothing) y + smoothing / K. Only differences of logits are taken, so
// that large ones lose nothing; a class with y'_j = 0 adds nothing, even where its logit is -infinity. For a class
// number, y is 1 at that class and 0 elsewhere.
//
// A lane reads and writes no elements but its own, and writes after the last time it reads: dp may lie where p lies.
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

/// How targets y become y': y' = keep y + floor.
template <class T> struct Smoothing { T keep, floor; };

/// y' of a row whose target is a class number.
template <class T> struct LabelTarget {
  static constexpr bool sums_to_one = true;
  Index label;
  T at_label, elsewhere;
  __device__ T operator()(Index j) const { return j == label ? at_label : elsewhere; }
  /// Whether class j counts at all: without smoothing the others do not, be they NaN.
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

/// Loss of one row from logits z (K). dz (K) = factor * its gradient; it may be null, or alias z.
template <class T, class Target>
__device__ T loss_from_logits(const T* z, Target target, T* dz, T factor, Index classes, int lane) {
  const T most = row_max(z, classes, lane);
  T total = 0, distance = 0, targets = 0;
  for (Index j = lane; j < classes; j += warp_threads) {
    const T below = most - z[j], y = target(j);
    total += std::exp(-below);
    distance += y == 0 ? T(0) : y * below;
    targets += y;
  }
  total = warp_sum(total);
  distance = warp_sum(distance);
  targets = Target::sums_to_one ? T(1) : warp_sum(targets);
  if (dz != nullptr) {
    const T share = targets / total;
    for (Index j = lane; j < classes; j += warp_threads) {
      dz[j] = factor * (std::exp(z[j] - most) * share - target(j));
    }
  }
  return targets * std::log(total) + distance;
}

template <class T> __device__ T within_margin(T p) {
  constexpr T least = T(probability_margin), most = 1;
  return p < least ? least : p > most ? most : p; // NaN stays NaN
}

/// Loss of one row from probabilities p (K). dp (K) = factor * its gradient; it may be null, or alias p.
template <class T, class Target>
__device__ T loss_from_probabilities(const T* p, Target target, T* dp, T factor, Index classes, int lane) {
  T loss = 0;
  for (Index j = lane; j < classes; j += warp_threads) {
    T slope = 0;
    if (target.looks_at(j)) {
      const T y = target(j), f = within_margin(p[j]);
      loss -= y * std::log(f);
      slope = -factor * y / f;
    }
    if (dp != nullptr) dp[j] = slope;
  }
  return warp_sum(loss);
}

/// `Given` is class numbers, const std::int32_t*, or values, MatrixView<const T>.
template <class T, class Given, bool from_logits> struct Rows {
  MatrixView<const T> p;
  Given targets;
  Smoothing<T> smoothing;
  const T* weight;
  double scale;
  T* row_loss;
  MatrixView<T> dp;
  __device__ void operator()(Index i, int lane) const {
    const T factor(scale * (weight != nullptr ? static_cast<double>(weight[i]) : 1));
    const auto target = row_target(targets, smoothing, i);
    const T* const row = p.data + i * p.stride;
    T* const gradient = dp.data != nullptr ? dp.data + i * dp.stride : nullptr;
    T loss;
    if constexpr (from_logits) {
      loss = loss_from_logits(row, target, gradient, factor, p.cols, lane);
    } else {
      loss = loss_from_probabilities(row, target, gradient, factor, p.cols, lane);
    }
    if (lane == 0) row_loss[i] = factor * loss;
  }
};

template <class T>
void cross_entropy(const Team&, bool from_logits, double smoothing, MatrixView<const T> p, Targets<T> targets,
                   const T* weight, double scale, T* row_loss, MatrixView<T> dp) {
  const Smoothing<T> smooth{T(1 - smoothing), T(smoothing / static_cast<double>(p.cols))};
  auto start = [&](auto given) { // class numbers, or values
    using Given = decltype(given);
    if (from_logits) {
      for_rows("cross_entropy", p.rows, Rows<T, Given, true>{p, given, smooth, weight, scale, row_loss, dp});
    } else {
      for_rows("cross_entropy", p.rows, Rows<T, Given, false>{p, given, smooth, weight, scale, row_loss, dp});
    }
  };
  if (targets.labels != nullptr) {
    start(targets.labels);
  } else {
    start(targets.values);
  }
}

} // namespace

void list_cross_entropy(Device& device) {
  device.float32.cross_entropy = cross_entropy<float>;
  device.float64.cross_entropy = cross_entropy<double>;
}

} // namespace chainrule::cuda
