// Sums on the GPU: of the columns of a matrix (the gradient of a bias), those of the CPU, bit for bit; of the losses of
// rows and of the blocks of a split sum, by one block of threads.
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

template <class T> void column_sum(const Team&, const MatrixView<const T>& x, T* sum, Write write) {
  launch("column_sum", add_rows<T>, strips_of(x.cols), block_threads, x, sum, write == Write::add);
}

/// The sum of x (n) in double precision: every block_threads-th number by a thread, then the threads.
template <class T> __device__ double sum_of(const T* x, Index n) {
  double own = 0;
  for (Index i = threadIdx.x; i < n; i += block_threads) own += static_cast<double>(x[i]);
  return block_sum(own);
}

template <class T> __global__ void add_sum(const T* x, Index n, double factor, double* total) {
  const double sum = sum_of(x, n);
  if (threadIdx.x == 0) *total += factor * sum;
}

template <class T> void accumulate(const Team&, const T* x, Index n, double factor, double* total) {
  launch("accumulate", add_sum<T>, 1, block_threads, x, n, factor, total);
}

__global__ void sum_blocks_up(const double* blocks, Index n, double* sum) {
  const double all = sum_of(blocks, n);
  if (threadIdx.x == 0) *sum = all;
}

void sum_up(const Team&, const double* blocks, Index n, double* sum) {
  launch("sum_up", sum_blocks_up, 1, block_threads, blocks, n, sum);
}

} // namespace

void list_sums(Device& device) {
  device.float32.column_sum = column_sum<float>;
  device.float64.column_sum = column_sum<double>;
  device.float32.accumulate = accumulate<float>;
  device.float64.accumulate = accumulate<double>;
  device.float32.sum_up = sum_up;
  device.float64.sum_up = sum_up;
}

} // namespace chainrule::cuda
