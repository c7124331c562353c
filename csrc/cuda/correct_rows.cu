// Accuracy on the GPU, row by row: 1 where the target's class is among the k that the prediction names first, else 0. A
// warp for each row; of one output, a thread.
#include "cuda/greatest.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

template <class T> struct AgainstLabels {
  MatrixView<const T> p;
  const std::int32_t* labels;
  Index k;
  T* row_score;
  __device__ void operator()(Index i, int lane) const {
    const bool correct = among_greatest(p.data + i * p.stride, p.cols, labels[i], k, lane);
    if (lane == 0) row_score[i] = correct ? T(1) : T(0);
  }
};

template <class T> struct AgainstValues {
  MatrixView<const T> p, y;
  Index k;
  T* row_score;
  __device__ void operator()(Index i, int lane) const {
    const Index right = greatest(y.data + i * y.stride, y.cols, lane); // the same for all lanes
    const bool correct = right != not_a_number && among_greatest(p.data + i * p.stride, p.cols, right, k, lane);
    if (lane == 0) row_score[i] = correct ? T(1) : T(0);
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
void correct_rows(const Team&, const MatrixView<const T>& p, const Targets<T>& targets, Index k, double threshold,
                  T* row_score) {
  if (targets.labels != nullptr) {
    for_rows("correct_rows", p.rows, AgainstLabels<T>{p, targets.labels, k, row_score});
  } else if (p.cols == 1) {
    for_elements("correct_rows", p.rows, OfOneOutput<T>{p, targets.values, threshold, row_score});
  } else {
    for_rows("correct_rows", p.rows, AgainstValues<T>{p, targets.values, k, row_score});
  }
}

} // namespace

void list_correct_rows(Device& device) {
  device.float32.correct_rows = correct_rows<float>;
  device.float64.correct_rows = correct_rows<double>;
}

} // namespace chainrule::cuda
