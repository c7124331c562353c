// Rows of each class, rows predicted to be of it, and rows of which both is true, on the GPU. Where classes exclude
// each other, a warp for each row, which adds ones to the counts: the one place with atomics. Whole numbers below 2^53
// are exact in double precision, so that their order does not show. Else a block for each column, which shares none.
#include "cuda/greatest.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

template <class T> struct CountRow {
  MatrixView<const T> p;
  Targets<T> targets;
  double* counts; // (3, K)
  __device__ void operator()(Index i, int lane) const {
    const Index right = targets.labels != nullptr
                            ? Index{targets.labels[i]}
                            : greatest(targets.values.data + i * targets.values.stride, p.cols, lane);
    const Index chosen = greatest(p.data + i * p.stride, p.cols, lane);
    if (lane != 0) return;
    if (right != not_a_number) atomicAdd(counts + right, 1.0);
    if (chosen != not_a_number) atomicAdd(counts + p.cols + chosen, 1.0);
    if (chosen != not_a_number && chosen == right) atomicAdd(counts + 2 * p.cols + right, 1.0);
  }
};

template <class T>
__global__ void count_column(MatrixView<const T> p, MatrixView<const T> y, double threshold, double* counts) {
  for (Index j = blockIdx.x; j < p.cols; j += gridDim.x) {
    Index actual = 0, predicted = 0, correct = 0;
    for (Index i = threadIdx.x; i < p.rows; i += block_threads) {
      const bool right = y.data[i * y.stride + j] > T(0.5);
      const bool chosen = static_cast<double>(p.data[i * p.stride + j]) > threshold;
      actual += right;
      predicted += chosen;
      correct += right && chosen;
    }
    const Index sums[] = {block_sum(actual), block_sum(predicted), block_sum(correct)};
    if (threadIdx.x == 0) {
      for (Index row = 0; row < 3; ++row) counts[row * p.cols + j] += static_cast<double>(sums[row]);
    }
  }
}

template <class T>
void count_classes(const Team&, const MatrixView<const T>& p, const Targets<T>& targets, bool exclusive,
                   double threshold, double* counts) {
  if (exclusive || targets.labels != nullptr) {
    for_rows("count_classes", p.rows, CountRow<T>{p, targets, counts});
  } else {
    const Index blocks = p.cols < most_blocks ? p.cols : most_blocks;
    launch("count_classes", count_column<T>, blocks, block_threads, p, targets.values, threshold, counts);
  }
}

} // namespace

void list_count_classes(Device& device) {
  device.float32.count_classes = count_classes<float>;
  device.float64.count_classes = count_classes<double>;
}

} // namespace chainrule::cuda
