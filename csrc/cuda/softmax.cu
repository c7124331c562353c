// Softmax of each row, forward and backward, on the GPU: a warp for each row.
//
//   h_j = exp(z_j - m) / sum over i of exp(z_i - m),  m = max z       (the shift by m changes nothing but the range)
//   dz_j = h_j (dh_j - sum over i of h_i dh_i)
//
// A NaN in a row makes all of it NaN. The exponentials are taken twice instead of stored and read again. A lane reads
// and writes no elements but its own, and writes after the last time it reads: a result may lie where its argument lay.
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

template <class T> struct Forward {
  MatrixView<const T> z;
  MatrixView<T> h;
  __device__ void operator()(Index i, int lane) const {
    const T* const from = z.data + i * z.stride;
    T* const to = h.data + i * h.stride;
    const T most = row_max(from, z.cols, lane);
    T total = 0;
    for (Index j = lane; j < z.cols; j += warp_threads) total += std::exp(from[j] - most);
    total = warp_sum(total);
    for (Index j = lane; j < z.cols; j += warp_threads) to[j] = std::exp(from[j] - most) / total;
  }
};

template <class T> struct Backward {
  MatrixView<const T> h, dh;
  MatrixView<T> dz;
  __device__ void operator()(Index i, int lane) const {
    const T *const value = h.data + i * h.stride, *const slope = dh.data + i * dh.stride;
    T* const to = dz.data + i * dz.stride;
    T dot = 0;
    for (Index j = lane; j < h.cols; j += warp_threads) dot += value[j] * slope[j];
    dot = warp_sum(dot);
    for (Index j = lane; j < h.cols; j += warp_threads) to[j] = value[j] * (slope[j] - dot);
  }
};

template <class T> void softmax_forward(const Team&, const MatrixView<const T>& z, const MatrixView<T>& h) {
  if (z.cols > 0) for_rows("softmax_forward", z.rows, Forward<T>{z, h});
}

template <class T>
void softmax_backward(const Team&, const MatrixView<const T>& h, const MatrixView<const T>& dh,
                      const MatrixView<T>& dz) {
  if (h.cols > 0) for_rows("softmax_backward", h.rows, Backward<T>{h, dh, dz});
}

} // namespace

void list_softmax(Device& device) {
  device.float32.softmax_forward = softmax_forward<float>;
  device.float64.softmax_forward = softmax_forward<double>;
  device.float32.softmax_backward = softmax_backward<float>;
  device.float64.softmax_backward = softmax_backward<double>;
}

} // namespace chainrule::cuda
