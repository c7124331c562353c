// Cross-entropy over the classes of a row, with its gradient in the same call, on the GPU: a warp for each row. From
// logits as cross_entropy_row.h has it, which says what y' is;
//
//   from probabilities:  l = - sum_j y'_j log f_j,  f within [margin, 1]         dl/dp_j = - y'_j / f_j
#include "cuda/cross_entropy_row.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

/// All lanes of a warp have a row.
struct WarpLanes {
  static constexpr int step = warp_threads;
  int first;
  template <class T> __device__ T sum(T value) const { return warp_sum(value); }
  template <class T> __device__ T greatest(T value) const { return warp_max(value); }
};

/// Where a row's gradient goes, or nowhere.
template <class T> struct RowGradient {
  T* row;
  __device__ explicit operator bool() const { return row != nullptr; }
  __device__ void operator()(Index j, T value) const { row[j] = value; }
};

template <class T> __device__ T within_margin(T p) {
  constexpr T least = T(probability_margin), most = 1;
  return p < least ? least : p > most ? most : p; // NaN stays NaN
}

/// Loss of a row of probabilities p (K); its gradient times `factor`.
template <class T, class Target>
__device__ T loss_from_probabilities(const T* p, Index classes, Target target, T factor, RowGradient<T> dp,
                                     WarpLanes lanes) {
  T loss = 0;
  for (Index j = lanes.first; j < classes; j += lanes.step) {
    T slope = 0;
    if (target.looks_at(j)) {
      const T y = target(j), f = within_margin(p[j]);
      loss -= y * std::log(f);
      slope = -factor * y / f;
    }
    if (dp) dp(j, slope);
  }
  return lanes.sum(loss);
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
    const T factor = row_factor(scale, weight, i);
    const auto target = row_target(targets, smoothing, i);
    const T* const row = p.data + i * p.stride;
    const RowGradient<T> gradient{dp.data != nullptr ? dp.data + i * dp.stride : nullptr};
    const WarpLanes lanes{lane};
    T loss;
    if constexpr (from_logits) {
      loss = loss_from_logits(row, p.cols, target, factor, gradient, lanes);
    } else {
      loss = loss_from_probabilities(row, p.cols, target, factor, gradient, lanes);
    }
    if (lane == 0) row_loss[i] = factor * loss;
  }
};

template <class T>
void cross_entropy(const Team&, bool from_logits, double smoothing, const MatrixView<const T>& p,
                   const Targets<T>& targets, const T* weight, double scale, T* row_loss, const MatrixView<T>& dp) {
  const Smoothing<T> smooth = smoothing_of<T>(smoothing, p.cols);
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
