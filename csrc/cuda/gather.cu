// Collecting the rows and the labels of a batch from the data set, on the GPU: a thread for each number.
#include "cuda/launch.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

template <class T> struct GatherRows {
  MatrixView<const T> from;
  const std::int32_t* rows;
  MatrixView<T> to;
  __device__ void operator()(Index element) const {
    const Index i = element / to.cols, j = element % to.cols;
    to.data[i * to.stride + j] = from.data[rows[i] * from.stride + j];
  }
};

struct GatherLabels {
  const std::int32_t *from, *rows;
  std::int32_t* to;
  __device__ void operator()(Index i) const { to[i] = from[rows[i]]; }
};

template <class T>
void gather_rows(const Team&, const MatrixView<const T>& from, const std::int32_t* rows, const MatrixView<T>& to) {
  for_elements("gather_rows", to.size(), GatherRows<T>{from, rows, to});
}

void gather_labels(const Team&, const std::int32_t* from, const std::int32_t* rows, std::int32_t* to, Index count) {
  for_elements("gather_labels", count, GatherLabels{from, rows, to});
}

} // namespace

void list_gather(Device& device) {
  device.float32.gather_rows = gather_rows<float>;
  device.float64.gather_rows = gather_rows<double>;
  device.float32.gather_labels = gather_labels;
  device.float64.gather_labels = gather_labels;
}

} // namespace chainrule::cuda
