// Packing: blocks of the factors of a matrix product, copied into the order in which a tile reads them.
//
// A panel of a, (sum, rows of a tile), holds the rows of one tile: neighbours along a column of a are neighbours here.
// A panel of b, (sum, tile_cols), holds the columns of one tile: its rows follow each other without a gap.
// A factor that lies across this order is turned in the registers (turned.h).
#pragma once

#include "cpu/matmul_tile.h"
#include "cpu/turned.h"
#include "kernels.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> constexpr Index tile_cols = tile_vectors* Vec<T>::width;

/// Element (i, j) of a factor lies at data[i * row + j * col]; one of the steps is 1.
template <class T> struct Strides {
  const T* data;
  Index row, col;
  const T* at(Index i, Index j) const { return data + i * row + j * col; }
};
template <class T> Strides<T> strides_of(const Factor<T>& factor) {
  const Index stride = factor.matrix.stride;
  return factor.transposed ? Strides<T>{factor.matrix.data, 1, stride} : Strides<T>{factor.matrix.data, stride, 1};
}

/// Numbers that pack_a may write beyond its last panel.
template <class T> constexpr Index pack_slack = Vec<T>::width;

/// Copies the terms of `sum` and `count` rows of a, from i, into a panel (sum, count); a's columns are contiguous.
/// Whole registers are stored: what one writes too much, the next one overwrites. The next line is asked for: no
/// prefetcher foresees columns that lie apart (G of 512 x 2048 x 2048: 1.05).
template <class T> void pack_a(Strides<T> a, Index i, Index count, Range sum, T* to) {
  for (Index p = sum.begin; p < sum.end; ++p, to += count) {
    each_vector<T>({0, count}, [&](Index r, auto part) { store(load(a.at(i + r, p), part), to + r); });
    __builtin_prefetch(a.at(i + line_elements<T>, p));
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
