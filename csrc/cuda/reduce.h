// Rows shared out among warps, and sums and maxima across the threads of a warp or of a block.
//
//   rows   each(i, lane) for i = 0 .. rows-1, a warp for each row; lane 0 .. 31 takes columns lane, lane + 32, ...
//
// A warp has a row whatever its width. Of a row of 10 classes 22 lanes take nothing, yet they cost no more than the 10;
// a row of thousands keeps all 32 busy, reads 32 neighbours at once, and there are as many warps as rows of a batch.
//
// Every thread of the warp (block) must call, all get the same result, and the order of additions is fixed: it depends
// on which thread holds what, never on the grid or on time. No atomics.
#pragma once

#include <cmath>
#include <limits>

#include "cuda/launch.h"

namespace chainrule::cuda {

inline constexpr int warp_threads = 32;
static_assert(block_threads % warp_threads == 0, "a block is made of whole warps");

template <class Each> __global__ void run_rows(Index rows, Each each) {
  const int lane = static_cast<int>(threadIdx.x) % warp_threads;
  for (Index i = thread_number() / warp_threads; i < rows; i += thread_count() / warp_threads) each(i, lane);
}

/// each(i, lane) for i = 0 .. rows-1, by all lanes of a warp, on the device. `each` is a struct with
/// `__device__ void operator()(Index, int) const`.
template <class Each> void for_rows(const char* operation, Index rows, Each each) {
  constexpr Index rows_of_block = block_threads / warp_threads;
  const Index blocks = (rows + rows_of_block - 1) / rows_of_block;
  launch(operation, run_rows<Each>, blocks < most_blocks ? blocks : most_blocks, block_threads, rows, each);
}

/// Folds the values of a warp, lane i with lanes i ^ 16, i ^ 8, ..., i ^ 1. fold(a, b) must be fold(b, a), to the last
/// bit: so all lanes get the same.
template <class T, class Fold> __device__ T fold_warp(T value, Fold fold) {
  for (int bit = warp_threads / 2; bit > 0; bit /= 2) value = fold(value, __shfl_xor_sync(~0u, value, bit));
  return value;
}

struct Sum {
  template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};
/// The greater of two numbers. A NaN is passed over: what must not lose one looks for it by itself.
struct Greater {
  template <class T> __device__ T operator()(T a, T b) const { return std::fmax(a, b); }
};

/// The sum of the values of a warp.
template <class T> __device__ T warp_sum(T value) { return fold_warp(value, Sum{}); }

/// The greatest of the values of a warp; NaN is passed over.
template <class T> __device__ T warp_max(T value) { return fold_warp(value, Greater{}); }

/// The greatest of a row, by all lanes of a warp; NaN is passed over. -infinity if there is no number.
template <class T> __device__ T row_max(const T* row, Index columns, int lane) {
  T most = -std::numeric_limits<T>::infinity();
  for (Index j = lane; j < columns; j += warp_threads) most = Greater{}(most, row[j]);
  return warp_max(most);
}

/// The factor of the loss of row i and its gradient: scale * weight, weights being 1 where there are none.
template <class T> __device__ T row_factor(double scale, const T* weight, Index i) {
  return T(scale * (weight != nullptr ? static_cast<double>(weight[i]) : 1));
}

/// The sum of the values of a block of `block_threads` threads: of each warp, then of the warps from first to last.
template <class T> __device__ T block_sum(T value) {
  constexpr int warps = block_threads / warp_threads;
  __shared__ T sums[warps];
  const T sum = warp_sum(value);
  __syncthreads(); // sums of a call before this one have been read
  if (threadIdx.x % warp_threads == 0) sums[threadIdx.x / warp_threads] = sum;
  __syncthreads();
  T total = 0;
  for (int warp = 0; warp < warps; ++warp) total += sums[warp];
  return total;
}

// Columns -------------------------------------------------------------------------------------------------------------

// A block takes a strip of 32 columns side by side, a lane for each, and its warps take turns at the rows, so that a
// warp reads 32 neighbours at once. A narrow matrix of many rows so leaves most of a GPU idle: to split a column over
// several blocks would take memory for their sums, and no operation may allocate.
inline constexpr int strip_columns = warp_threads, strip_warps = block_threads / warp_threads;

/// Strips of a matrix of so many columns.
constexpr Index strips_of(Index columns) { return (columns + strip_columns - 1) / strip_columns; }

/// What the calling thread has of a strip: a column, and of it the rows first_row, first_row + strip_warps, ...
struct StripShare {
  Index column; // beyond the last column: that one again, to take part in sums, but not to write
  bool writes;
  int first_row;
};

__device__ inline StripShare strip_share(Index strip, Index columns) {
  const Index column = strip * strip_columns + static_cast<int>(threadIdx.x) % warp_threads;
  const bool exists = column < columns;
  return {exists ? column : columns - 1, exists, static_cast<int>(threadIdx.x) / warp_threads};
}

/// Shared memory for the sums of a strip. Two tiles: while one is added up, the other is filled.
template <class Total> struct StripTiles {
  // 16 KB a tile, 32 KB of the 48 KB that a block may have without asking: 128 rows in single precision.
  static constexpr int rows = 16384 / strip_columns / static_cast<int>(sizeof(Total));
  Total values[2][rows][strip_columns];
};

/// start + value(0) + ... + value(rows-1) in the column of the calling thread, by all threads of a block; all warps get
/// the same. In this order, as kernels.h has it: all warps bring rows, the first one adds them. That costs little: an
/// addition takes less time than a row takes to come from memory.
template <class Total, class Value>
__device__ Total strip_sum(StripTiles<Total>& tiles, Index rows, Total start, Value value) {
  constexpr int tile_rows = StripTiles<Total>::rows, own_rows = tile_rows / strip_warps;
  const int lane = static_cast<int>(threadIdx.x) % warp_threads, warp = static_cast<int>(threadIdx.x) / warp_threads;
  Total total = start;
  int turn = 0;
  for (Index begin = 0; begin < rows; begin += tile_rows, turn = 1 - turn) {
    auto& tile = tiles.values[turn];
    const int count = rows - begin < tile_rows ? static_cast<int>(rows - begin) : tile_rows;
    Total batch[own_rows]; // all at once, so that the waits for them run side by side
    for (int k = 0; k < own_rows; ++k) {
      const int i = warp + k * strip_warps;
      batch[k] = value(begin + (i < count ? i : count - 1)); // beyond the last row: that one again, not to be added
    }
    for (int k = 0; k < own_rows; ++k) tile[warp + k * strip_warps][lane] = batch[k];
    __syncthreads(); // this tile is filled, and the other one added up
    for (int i = 0; i < count && warp == 0; i += own_rows) {
      for (int k = 0; k < own_rows; ++k) batch[k] = tile[i + k][lane];
      for (int k = 0; k < own_rows; ++k) total = i + k < count ? total + batch[k] : total;
    }
  }
  Total& result = tiles.values[0][0][lane];
  if (warp == 0) result = total;
  __syncthreads();
  total = result;
  __syncthreads(); // all have read it: the tiles may serve again
  return total;
}

} // namespace chainrule::cuda
