// Gaussian noise on the GPU: y = x + deviation * N(0, 1), with the normal numbers of G. Box and M. Muller (1958).
//
// Element e takes its words from block e / 4 of the stream, of which words 0 and 1 make elements 0 and 1 of the four,
// words 2 and 3 the others:
//
//   u0 = (w0 + 1/2) / 2^32,  u1 = w1 / 2^32,  r = sqrt(-2 log u0);     r cos(2 pi u1),  r sin(2 pi u1)
//
// noise_rows has such a stream for each row, whose blocks are counted from its first element.
//
// All in double precision, so that both precisions get the same noise to within the rounding of y. A thread makes four.
#include <cmath>

#include "cuda/launch.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

__device__ inline void normal_pair(std::uint32_t w0, std::uint32_t w1, double* normals) {
  const double u0 = (w0 + 0.5) * 0x1p-32, u1 = w1 * 0x1p-32;
  const double r = std::sqrt(-2 * std::log(u0));
  double cosine, sine;
  sincospi(2 * u1, &sine, &cosine);
  normals[0] = r * cosine;
  normals[1] = r * sine;
}

/// y = x + deviation * N(0, 1) for the elements, of n, that a block of words serves.
template <class T>
__device__ void add_to_four(const Stream& stream, Index block, double deviation, const T* x, T* y, Index n) {
  const Words words = philox(stream, static_cast<std::uint32_t>(block));
  double normals[4];
  normal_pair(words[0], words[1], normals);
  normal_pair(words[2], words[3], normals + 2);
  for (int k = 0; k < 4; ++k) {
    const Index e = 4 * block + k;
    if (e < n) y[e] = static_cast<T>(static_cast<double>(x[e]) + deviation * normals[k]);
  }
}

template <class T> struct AddNoise {
  Stream stream;
  double deviation;
  const T* x;
  T* y;
  Index n;
  __device__ void operator()(Index block) const { add_to_four(stream, block, deviation, x, y, n); }
};

template <class T> void add_noise(const Team&, Stream stream, double deviation, const T* x, T* y, Index n) {
  for_elements("add_noise", (n + 3) / 4, AddNoise<T>{stream, deviation, x, y, n});
}

template <class T> struct NoiseRows {
  Stream stream;
  double deviation;
  RowNumbers numbers;
  MatrixView<const T> x;
  MatrixView<T> y;
  Index blocks; // of a row
  __device__ void operator()(Index group) const {
    const Index i = group / blocks;
    add_to_four(stream_of_row(stream, numbers[i]), group % blocks, deviation, x.data + i * x.stride,
                y.data + i * y.stride, x.cols);
  }
};

template <class T>
void noise_rows(const Team&, Stream stream, double deviation, RowNumbers numbers, const MatrixView<const T>& x,
                const MatrixView<T>& y) {
  const Index blocks = (x.cols + 3) / 4;
  for_elements("noise_rows", x.rows * blocks, NoiseRows<T>{stream, deviation, numbers, x, y, blocks});
}

} // namespace

void list_noise(Device& device) {
  device.float32.add_noise = add_noise<float>;
  device.float64.add_noise = add_noise<double>;
  device.float32.noise_rows = noise_rows<float>;
  device.float64.noise_rows = noise_rows<double>;
}

} // namespace chainrule::cuda
