// The greatest element of a row, by all lanes of a warp: the class that a row of scores names. Equals are told apart by
// their columns, the first being the greatest.
#pragma once

#include "cuda/reduce.h"

namespace chainrule::cuda {

inline constexpr Index not_a_number = -1; // a column that stands for: there is a NaN

/// The greatest of some elements and its column, the first of several.
template <class T> struct Greatest {
  T value;
  Index column;
};

/// What is left of two, in any order: a NaN, else the greater, else the one that comes first.
template <class T> __device__ Greatest<T> greater(Greatest<T> a, Greatest<T> b) {
  if (a.column == not_a_number || b.column == not_a_number) return {a.value, not_a_number};
  return b.value > a.value || (b.value == a.value && b.column < a.column) ? b : a;
}

/// Column of the greatest element of a row, the first of several; not_a_number if there is one.
template <class T> __device__ Index greatest(const T* row, Index columns, int lane) {
  Greatest<T> best{-std::numeric_limits<T>::infinity(), columns}; // any number beats it, -infinity by its column
  for (Index j = lane; j < columns; j += warp_threads) {
    best = greater(best, {row[j], row[j] == row[j] ? j : not_a_number});
  }
  for (int bit = warp_threads / 2; bit > 0; bit /= 2) {
    best = greater(best, {__shfl_xor_sync(~0u, best.value, bit), __shfl_xor_sync(~0u, best.column, bit)});
  }
  return best.column;
}

/// Whether fewer than k elements of a row are greater than the one of a column; not where there is a NaN.
template <class T> __device__ bool among_greatest(const T* row, Index columns, Index column, Index k, int lane) {
  const T own = row[column];
  Index greater = 0;
  for (Index j = lane; j < columns; j += warp_threads) {
    if (row[j] != row[j]) greater += k;
    if (row[j] > own || (row[j] == own && j < column)) ++greater;
  }
  return warp_sum(greater) < k;
}

} // namespace chainrule::cuda
