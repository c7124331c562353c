// Squares of numbers turned in the registers, rows becoming columns: as many rows as a register has lanes, each a
// register. Memory is read and written along its rows only.
#pragma once

#include <utility>

#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// A register of lanes chosen from those of a, then b.
template <int... LANES, class Numbers> Numbers lanes_from(Numbers a, Numbers b) {
#if __has_builtin(__builtin_shufflevector)
  return __builtin_shufflevector(a, b, LANES...);
#else
  using Bit = std::conditional_t<sizeof(a[0]) == 4, std::int32_t, std::int64_t>;
  typedef Bit Choice __attribute__((vector_size(sizeof(Numbers))));
  return __builtin_shuffle(a, b, Choice{LANES...});
#endif
}

/// Exchanges the lanes of a that have the bit STEP with those of b that have not.
template <class T, int STEP, int... LANES> void exchange(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, LANES...>) {
  constexpr int width = Vec<T>::width;
  const auto low = lanes_from<((LANES & STEP) == 0 ? LANES : width + LANES - STEP)...>(a.v, b.v);
  const auto high = lanes_from<((LANES & STEP) == 0 ? LANES + STEP : width + LANES)...>(a.v, b.v);
  a = Vec<T>(low);
  b = Vec<T>(high);
}

/// x[i] lane j becomes x[j] lane i: blocks of half the width change places, then of a quarter, ...
template <class T, int STEP = Vec<T>::width / 2> void transpose(Vec<T> (&x)[Vec<T>::width]) {
  constexpr int width = Vec<T>::width;
#pragma GCC unroll 16
  for (int i = 0; i < width; ++i) {
    if ((i & STEP) == 0) exchange<T, STEP>(x[i], x[i + STEP], std::make_integer_sequence<int, width>());
  }
  if constexpr (STEP > 1) transpose<T, STEP / 2>(x);
}

/// Loads a square from rows `step` apart, `rows` x `cols` of it, zeros beyond, and turns it.
template <class T> void load_turned(const T* from, Index step, Index rows, Index cols, Vec<T> (&x)[Vec<T>::width]) {
  constexpr int width = Vec<T>::width;
  if (rows == width && cols == width) {
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) x[i] = load(from + i * step);
  } else {
    for (int i = 0; i < width; ++i) {
      x[i] = i >= rows ? Vec<T>(0) : cols == width ? load(from + i * step) : load(from + i * step, Partial{cols});
    }
  }
  transpose(x);
}

/// Turns a square and stores `rows` x `cols` of it to rows `step` apart. What was in x is gone.
template <class T> void store_turned(Vec<T> (&x)[Vec<T>::width], T* to, Index step, Index rows, Index cols) {
  transpose(x);
  for (Index i = 0; i < rows; ++i) {
    if (cols == Vec<T>::width) {
      store(x[i], to + i * step);
    } else {
      store(x[i], to + i * step, Partial{cols});
    }
  }
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
