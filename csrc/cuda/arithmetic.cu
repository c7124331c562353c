// Plain arithmetic on flat arrays, on the GPU: sums, products, limits.
#include "cuda/launch.h"
#include "cuda/operations.h"
#include "formulas/clipping.h"

namespace chainrule::cuda {
namespace {

template <class T> struct AddScaled {
  T factor;
  const T* x;
  T* y;
  __device__ void operator()(Index i) const { y[i] += factor * x[i]; }
};

template <class T> struct Scale {
  T factor;
  const T* x;
  T* y;
  __device__ void operator()(Index i) const { y[i] = factor * x[i]; }
};

template <class T> struct Multiply {
  const T *x, *factors;
  T* y;
  __device__ void operator()(Index i) const { y[i] = x[i] * factors[i]; }
};

template <class T> struct Clip {
  T limit;
  const T* x;
  T* y;
  __device__ void operator()(Index i) const { y[i] = x[i] < -limit ? -limit : x[i] > limit ? limit : x[i]; }
};

template <class T> struct ClipNorm {
  double limit;
  const double* squares;
  T* g;
  __device__ void operator()(Index i) const {
    const double factor = clip_factor(limit, *squares);
    if (factor < 1) g[i] *= static_cast<T>(factor);
  }
};

template <class T> struct SoftThreshold {
  T threshold;
  const T* x;
  T* y;
  __device__ void operator()(Index i) const {
    const T v = x[i];
    y[i] = v > threshold ? v - threshold : v < -threshold ? v + threshold : v - v; // v - v: 0, or NaN
  }
};

template <class T> struct Fill {
  T value;
  T* x;
  __device__ void operator()(Index i) const { x[i] = value; }
};

template <class T> void add_scaled(const Team&, double factor, const T* x, T* y, Index n) {
  for_elements("add_scaled", n, AddScaled<T>{static_cast<T>(factor), x, y});
}
template <class T> void scale(const Team&, double factor, const T* x, T* y, Index n) {
  if (factor == 1 && x == y) return; // what a layer that does nothing in prediction asks for
  for_elements("scale", n, Scale<T>{static_cast<T>(factor), x, y});
}
template <class T> void multiply(const Team&, const T* x, const T* factors, T* y, Index n) {
  for_elements("multiply", n, Multiply<T>{x, factors, y});
}
template <class T> void clip(const Team&, double limit, const T* x, T* y, Index n) {
  for_elements("clip", n, Clip<T>{static_cast<T>(limit), x, y});
}
template <class T> void clip_norm(const Team&, double limit, const double* squares, T* g, Index n) {
  for_elements("clip_norm", n, ClipNorm<T>{limit, squares, g});
}
template <class T> void soft_threshold(const Team&, double threshold, const T* x, T* y, Index n) {
  for_elements("soft_threshold", n, SoftThreshold<T>{static_cast<T>(threshold), x, y});
}
template <class T> void fill(const Team&, double value, T* x, Index n) {
  for_elements("fill", n, Fill<T>{static_cast<T>(value), x});
}

template <class T> void list(Kernels<T>& kernels) {
  kernels.add_scaled = add_scaled<T>;
  kernels.scale = scale<T>;
  kernels.multiply = multiply<T>;
  kernels.clip = clip<T>;
  kernels.clip_norm = clip_norm<T>;
  kernels.soft_threshold = soft_threshold<T>;
  kernels.fill = fill<T>;
}

} // namespace

void list_arithmetic(Device& device) {
  list(device.float32);
  list(device.float64);
}

} // namespace chainrule::cuda
