// Number<T>: one number on the device, the number type of formulas/ on the GPU. The sibling of cpu/vector.h.
//
// exp, log and the like are CUDA's own, in full precision: 1 to 2 units in the last place (CUDA C++ Programming Guide,
// "Mathematical Functions").
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <type_traits>

namespace chainrule::cuda {

template <class T> struct Number {
  T v;

  Number() = default;
  template <class Other>
  requires std::is_arithmetic_v<Other> __device__ constexpr explicit Number(Other other) : v(static_cast<T>(other)) {}

  __device__ friend Number operator+(Number a, Number b) { return Number(a.v + b.v); }
  __device__ friend Number operator-(Number a, Number b) { return Number(a.v - b.v); }
  __device__ friend Number operator*(Number a, Number b) { return Number(a.v * b.v); }
  __device__ friend Number operator/(Number a, Number b) { return Number(a.v / b.v); }
  __device__ friend bool operator<(Number a, Number b) { return a.v < b.v; }
  __device__ friend bool operator>(Number a, Number b) { return a.v > b.v; }
  __device__ friend bool operator>=(Number a, Number b) { return a.v >= b.v; }
  __device__ friend bool operator==(Number a, Number b) { return a.v == b.v; }

  __device__ friend Number select(bool where, Number yes, Number no) { return where ? yes : no; }
  __device__ friend Number abs(Number x) { return Number(std::fabs(x.v)); }
  __device__ friend Number exp(Number x) { return Number(std::exp(x.v)); }
  __device__ friend Number expm1(Number x) { return Number(std::expm1(x.v)); }
  __device__ friend Number log(Number x) { return Number(std::log(x.v)); }
  __device__ friend Number log1p(Number x) { return Number(std::log1p(x.v)); }
  __device__ friend Number sqrt(Number x) { return Number(std::sqrt(x.v)); }
  __device__ friend Number tanh(Number x) { return Number(std::tanh(x.v)); }
};

} // namespace chainrule::cuda
