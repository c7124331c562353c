// Sums of the columns of a matrix (the gradient of a bias), on the GPU: those of the CPU, bit for bit.
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

template <class T> __global__ void add_rows(MatrixView<const T> x, T* sum, bool add) {
  __shared__ StripTiles<T> tiles;
  const StripShare share = strip_share(blockIdx.x, x.cols);
  const T* column = x.data + share.column;
  const T start = add ? sum[share.column] : T(0);
  const T total = strip_sum(tiles, x.rows, start, [&](Index i) { return column[i * x.stride]; });
  if (share.writes && share.first_row == 0) sum[share.column] = total;
}

template <class T> void column_sum(const Team&, MatrixView<const T> x, T* sum, Write write) {
  launch("column_sum", add_rows<T>, strips_of(x.cols), block_threads, x, sum, write == Write::add);
}

} // namespace

void list_sums(Device& device) {
  device.float32.column_sum = column_sum<float>;
  device.float64.column_sum = column_sum<double>;
}

} // namespace chainrule::cuda
