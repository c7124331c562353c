// Packing: blocks of the factors of a matrix product, copied into the order in which a tile reads them.
//
//   panel of a (sum, count rows)       a tile steps by 1 from row to row and by
//   the number of its rows along the sum panel of b (sum, tile_cols)        a
//   tile steps by tile_cols along the sum
//
// A factor that lies across this order is turned in the registers, a square of one register's width at a time.
#pragma once

#include <utility>

#include "cpu/matmul_tile.h"
#include "kernels.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> constexpr Index tile_cols = tile_vectors* Vec<T>::width;

constexpr Index smaller(Index a, Index b) { return a < b ? a : b; }

/// Element (i, j) of a factor lies at data[i * row + j * col]; one of the steps is 1.
template <class T> struct Strides {
  const T* data;
  Index row, col;
  const T* at(Index i, Index j) const { return data + i * row + j * col; }
};
template <class T> Strides<T> strides_of(Factor<T> factor) {
  const Index stride = factor.matrix.stride;
  return factor.transposed ? Strides<T>{factor.matrix.data, 1, stride} : Strides<T>{factor.matrix.data, stride, 1};
}

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

/// Numbers that pack_a may write beyond its last panel.
template <class T> constexpr Index pack_slack = Vec<T>::width;

/// Copies the terms of `sum` and `count` rows of a, from i, into a panel (sum, count); a's columns are contiguous.
/// Whole registers are stored: what one writes too much, the next one overwrites.
template <class T> void pack_a(Strides<T> a, Index i, Index count, Range sum, T* to) {
  for (Index p = sum.begin; p < sum.end; ++p, to += count) {
    each_vector<T>({0, count}, [&](Index r, auto part) { store(load(a.at(i + r, p), part), to + r); });
  }
}

/// Copies the terms of `sum` and `count` columns of b, from j, into a panel (sum, tile_cols). No tile reads the columns
/// that a last panel lacks. Rows of b that lie apart are asked for a panel ahead, into the second-level cache: no
/// prefetcher of a processor sees them coming (1.05 to 1.15 times as fast where b comes from the third level).
template <class T> void pack_b(Strides<T> b, Range sum, Index j, Index count, T* to) {
  constexpr Index width = Vec<T>::width;
  if (b.col == 1) {
    for (Index p = sum.begin; p < sum.end; ++p, to += tile_cols<T>) {
      each_vector<T>({0, count}, [&](Index q, auto part) { store(load(b.at(p, j + q), part), to + q); });
      for (Index q = 0; q < tile_cols<T>; q += line_elements<T>) {
        __builtin_prefetch(b.at(p, j + tile_cols<T> + q), 0, 2);
      }
    }
    return;
  }
  for (Index p = sum.begin; p < sum.end; p += width, to += width * tile_cols<T>) {
    const Index terms = smaller(width, sum.end - p);
    for (Index q = 0; q < count; q += width) {
      Vec<T> x[width];
      load_turned(b.at(p, j + q), b.col, smaller(width, count - q), terms, x);
      for (Index t = 0; t < terms; ++t) store(x[t], to + t * tile_cols<T> + q);
    }
  }
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
