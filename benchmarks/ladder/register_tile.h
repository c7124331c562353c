// The tile of rungs 4 to 7: a small block of c that stays in registers while the sum runs.
//
//   c (tile_rows, tile_cols) += sum over p of a[:, p] b[p, :]
//
// For each p, tile_vectors loads of b and tile_rows of a serve tile_rows * tile_vectors multiply-adds.
#pragma once

#include "rung.h"

namespace ladder {

// The tile's sums, one row of b and one element of a must fit the registers:
//   32 (AVX-512, NEON): 8 x 3 + 3 + 1 = 28        16 (AVX2): 6 x 2 + 2 + 1 = 15        16 (SSE2): 4 x 2 + 2 + 2 = 12
// And there must be as many sums as multiply-adds in flight: 2 a cycle, each of 4 cycles, are 8. 4 x 3 on AVX2, with
// all 16 registers in use, is at the compiler's mercy: Clang 22 spills, and GCC 12 for Zen 3 loads b again for every
// row.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr long tile_rows = 8, tile_vectors = 3;
#elif defined(__AVX__)
constexpr long tile_rows = 6, tile_vectors = 2;
#else
constexpr long tile_rows = 4, tile_vectors = 2;
#endif
constexpr long tile_cols = tile_vectors * width;

/// Element (i, p) of a lies at a[i * a_row + p * a_step], element (p, j) of b at b[p * b_row + j].
inline void add_tile(long sum, const float* a, long a_row, long a_step, const float* b, long b_row, float* c,
                     long c_row) {
  // All loops over the tile must be unrolled: only then are its sums registers, not memory.
  Vector sums[tile_rows][tile_vectors] = {};
  for (long p = 0; p < sum; ++p, a += a_step, b += b_row) {
    Vector row[tile_vectors];
#pragma GCC unroll 4
    for (long v = 0; v < tile_vectors; ++v) row[v] = load(b + v * width);
#pragma GCC unroll 8
    for (long i = 0; i < tile_rows; ++i) {
      const float element = a[i * a_row];
#pragma GCC unroll 4
      for (long v = 0; v < tile_vectors; ++v) sums[i][v] += element * row[v];
    }
  }
#pragma GCC unroll 8
  for (long i = 0; i < tile_rows; ++i) {
#pragma GCC unroll 4
    for (long v = 0; v < tile_vectors; ++v) {
      float* to = c + i * c_row + v * width;
      store(load(to) + sums[i][v], to);
    }
  }
}

struct Range {
  long begin, end;
};

/// What whole tiles leave over, in the order of rung 2: c[i, j] += sum over p of a[i, p] b[p, j].
inline void add_edge(const float* a, const float* b, float* c, long k, long n, Range rows, Range cols) {
  for (long i = rows.begin; i < rows.end; ++i) {
    for (long p = 0; p < k; ++p) {
      const float element = a[i * k + p];
      for (long j = cols.begin; j < cols.end; ++j) c[i * n + j] += element * b[p * n + j];
    }
  }
}

} // namespace ladder
