// Accuracy on the GPU, row by row: 1 where the prediction names the target's class, else 0. A warp for each row; of one
// output, a thread.
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

constexpr Index not_a_number = -1; // a column that stands for: there is a NaN

/// The greatest of some elements and its column, the first of several.
template <class T> struct Greatest {
  T value;
  Index column;
};

/// What is left of two, in any order: a NaN, else the greater, else the one that comes first.
template <class T> __device__ Greatest<T> greater(Greatest<T> a, Greatest<T> b) {
  if (a.column == not_a_number || b.column == not_a_number) return {a.value, not_a_number};
  return b.value > a.value || (b.value == a.value && b.column < a.column) ? b : a;
}

/// Column of the greatest element of a row, the first of several, by all lanes of a warp; not_a_number if there is one.
template <class T> __device__ Index greatest(const T* row, Index columns, int lane) {
  Greatest<T> best{-std::numeric_limits<T>::infinity(), columns}; // any number beats it, -infinity by its column
  for (Index j = lane; j < columns; j += warp_threads) {
    best = greater(best, {row[j], row[j] == row[j] ? j : not_a_number});
  }
  for (int bit = warp_threads / 2; bit > 0; bit /= 2) {
    best = greater(best, {__shfl_xor_sync(~0u, best.value, bit), __shfl_xor_sync(~0u, best.column, bit)});
  }
  return best.column;
}

template <class T> struct AgainstLabels {
  MatrixView<const T> p;
  const std::int32_t* labels;
  T* row_score;
  __device__ void operator()(Index i, int lane) const {
    const Index chosen = greatest(p.data + i * p.stride, p.cols, lane);
    if (lane == 0) row_score[i] = chosen == labels[i] ? T(1) : T(0);
  }
};

template <class T> struct AgainstValues {
  MatrixView<const T> p, y;
  T* row_score;
  __device__ void operator()(Index i, int lane) const {
    const Index chosen = greatest(p.data + i * p.stride, p.cols, lane);
    const Index right = greatest(y.data + i * y.stride, y.cols, lane);
    if (lane == 0) row_score[i] = chosen != not_a_number && chosen == right ? T(1) : T(0);
  }
};

template <class T> struct OfOneOutput {
  MatrixView<const T> p, y;
  double threshold;
  T* row_score;
  __device__ void operator()(Index i) const {
    const T prediction = p.data[i * p.stride], target = y.data[i * y.stride];
    const bool numbers = prediction == prediction && target == target;
    const bool agree = (static_cast<double>(prediction) > threshold) == (target > T(0.5));
    row_score[i] = numbers && agree ? T(1) : T(0);
  }
};

template <class T>
void correct_rows(const Team&, MatrixView<const T> p, Targets<T> targets, double threshold, T* row_score) {
  if (targets.labels != nullptr) {
    for_rows("correct_rows", p.rows, AgainstLabels<T>{p, targets.labels, row_score});
  } else if (p.cols == 1) {
    for_elements("correct_rows", p.rows, OfOneOutput<T>{p, targets.values, threshold, row_score});
  } else {
    for_rows("correct_rows", p.rows, AgainstValues<T>{p, targets.values, row_score});
  }
}

} // namespace

void list_correct_rows(Device& device) {
  device.float32.correct_rows = correct_rows<float>;
  device.float64.correct_rows = correct_rows<double>;
}

} // namespace chainrule::cuda
