// The columns of a batch brought to mean 0 and variance 1, forward and backward, and their moments, on the GPU.
//
//   mu = x_0 + 1/B sum (x - x_0),   s2 = 1/B sum (x - mu)^2                x_0 the first row: no digits cancel
//   xhat = (x - mu) / sqrt(s2 + eps),   h = gamma xhat + beta
//   dbeta = sum dh,   dgamma = sum dh xhat
//   dx = gamma / sqrt(s2 + eps) (dh - dbeta / B - xhat dgamma / B)         without the sums where mu, s2 are given
//
// All in the precision of x, every sum from the first row to the last: moments are those of the CPU, bit for bit. Where
// rows are summed a block has whole columns (cuda/reduce.h), and on the way back it also makes their dx: the sums that
// dx needs have no other place to wait.
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

// Rows of a block on the way forward, four for each thread: several, to share a root and a quotient; few, so that a
// small batch still makes many blocks.
constexpr Index forward_rows = 4 * strip_warps;

template <class T> __device__ T inverse_deviation(T variance, double epsilon) {
  return T(1) / std::sqrt(variance + static_cast<T>(epsilon));
}

template <class T> __global__ void take_moments(MatrixView<const T> x, T* mean_of, T* variance_of) {
  __shared__ StripTiles<T> tiles;
  const StripShare share = strip_share(blockIdx.x, x.cols);
  const T* column = x.data + share.column;
  const T rows = static_cast<T>(x.rows), first = column[0];
  const T distances = strip_sum(tiles, x.rows - 1, T(0), [&](Index i) { return column[(i + 1) * x.stride] - first; });
  const T mean = first + distances / rows;
  const T squares = strip_sum(tiles, x.rows, T(0), [&](Index i) {
    const T distance = column[i * x.stride] - mean;
    return distance * distance;
  });
  if (!share.writes || share.first_row > 0) return;
  mean_of[share.column] = mean;
  variance_of[share.column] = squares / rows;
}

template <class T> void column_moments(const Team&, const MatrixView<const T>& x, T* mean, T* variance) {
  launch("column_moments", take_moments<T>, strips_of(x.cols), block_threads, x, mean, variance);
}

template <class T>
__global__ void normalize(MatrixView<const T> x, const T* mean_of, const T* variance_of, double epsilon,
                          const T* gamma_of, const T* beta_of, MatrixView<T> h) {
  const Index strips = strips_of(x.cols);
  const StripShare share = strip_share(blockIdx.x % strips, x.cols);
  if (!share.writes) return;
  const Index j = share.column, begin = blockIdx.x / strips * forward_rows;
  const Index end = x.rows - begin < forward_rows ? x.rows : begin + forward_rows;
  const T inverse = inverse_deviation(variance_of[j], epsilon);
  const T mean = mean_of[j], gamma = gamma_of[j], beta = beta_of[j];
  for (Index i = begin + share.first_row; i < end; i += strip_warps) {
    h.data[i * h.stride + j] = gamma * ((x.data[i * x.stride + j] - mean) * inverse) + beta;
  }
}

template <class T>
void normalize_forward(const Team&, const MatrixView<const T>& x, const T* mean, const T* variance, double epsilon,
                       const T* gamma, const T* beta, const MatrixView<T>& h) {
  const Index blocks = strips_of(x.cols) * ((x.rows + forward_rows - 1) / forward_rows);
  launch("normalize_forward", normalize<T>, blocks, block_threads, x, mean, variance, epsilon, gamma, beta, h);
}

/// The two sums of the way back over the rows of a column.
template <class T> struct ColumnSums {
  T slopes;   // of dh
  T products; // of dh xhat
  __device__ friend ColumnSums operator+(ColumnSums a, ColumnSums b) {
    return {a.slopes + b.slopes, a.products + b.products};
  }
};

/// What the way back reads and writes, as kernels.h has it.
template <class T> struct Backward {
  MatrixView<const T> x;
  const T *mean, *variance;
  double epsilon;
  const T* gamma;
  MatrixView<const T> dh;
  bool moments_of_x, add;
  T *dgamma, *dbeta;
  MatrixView<T> dx;
};

template <class T> __global__ void run_backward(Backward<T> b) {
  __shared__ StripTiles<ColumnSums<T>> tiles;
  const StripShare share = strip_share(blockIdx.x, b.x.cols);
  const Index j = share.column;
  const T mean = b.mean[j], inverse = inverse_deviation(b.variance[j], b.epsilon);
  auto slope = [&](Index i) { return b.dh.data[i * b.dh.stride + j]; };
  auto xhat = [&](Index i) { return (b.x.data[i * b.x.stride + j] - mean) * inverse; };

  ColumnSums<T> sums{0, 0};
  if (b.moments_of_x || b.dgamma != nullptr) {
    sums = strip_sum(tiles, b.x.rows, sums, [&](Index i) { return ColumnSums<T>{slope(i), slope(i) * xhat(i)}; });
  }
  if (!share.writes) return;
  if (b.dgamma != nullptr && share.first_row == 0) {
    b.dgamma[j] = b.add ? b.dgamma[j] + sums.products : sums.products;
    b.dbeta[j] = b.add ? b.dbeta[j] + sums.slopes : sums.slopes;
  }
  if (b.dx.data == nullptr) return;
  const T part = static_cast<T>(1 / static_cast<double>(b.x.rows));
  const T mean_slope = b.moments_of_x ? part * sums.slopes : T(0);
  const T mean_product = b.moments_of_x ? part * sums.products : T(0);
  const T factor = b.gamma[j] * inverse;
  for (Index i = share.first_row; i < b.x.rows; i += strip_warps) {
    b.dx.data[i * b.dx.stride + j] = factor * (slope(i) - mean_slope - xhat(i) * mean_product);
  }
}

template <class T>
void normalize_backward(const Team&, const MatrixView<const T>& x, const T* mean, const T* variance, double epsilon,
                        const T* gamma, const MatrixView<const T>& dh, bool moments_of_x, Write write, T* dgamma,
                        T* dbeta, const MatrixView<T>& dx) {
  if (dgamma == nullptr && dx.data == nullptr) return;
  const Backward<T> backward{x,      mean,  variance, epsilon, gamma, dh, moments_of_x, write == Write::add,
                             dgamma, dbeta, dx};
  launch("normalize_backward", run_backward<T>, strips_of(x.cols), block_threads, backward);
}

} // namespace

void list_normalize(Device& device) {
  device.float32.column_moments = column_moments<float>;
  device.float64.column_moments = column_moments<double>;
  device.float32.normalize_forward = normalize_forward<float>;
  device.float64.normalize_forward = normalize_forward<double>;
  device.float32.normalize_backward = normalize_backward<float>;
  device.float64.normalize_backward = normalize_backward<double>;
}

} // namespace chainrule::cuda
