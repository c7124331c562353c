// Rung 5, cache blocks: the sum and the rows are cut so that what is read again is still in a cache.
//
//   c[I, J] += a[I, P] b[P, J]        for all blocks P of the sum, for all blocks I of rows, for all tiles in I and J
//
// Before: every tile ran down all k rows of b. A strip of b, k x tile_cols numbers, had left the first-level cache
// before the next tile read it, and for large k all of a passed through the caches for each strip.
// Now: a strip has sum_block rows and a block of a row_block x sum_block numbers. Each tile of c is loaded and stored
// once for each block of the sum instead of once.
#include "cache_blocks.h"

void multiply(const float* a, const float* b, float* c, long m, long k, long n) {
  using namespace ladder;
  for (long index = 0; index < m * n; ++index) c[index] = 0;

  const long rows = m / tile_rows * tile_rows, cols = n / tile_cols * tile_cols; // of whole tiles
  for (long p = 0; p < k; p += sum_block) {
    const long terms = smaller(sum_block, k - p);
    for (long block = 0; block < rows; block += row_block) {
      const long block_end = smaller(block + row_block, rows);
      for (long j = 0; j < cols; j += tile_cols) {
        for (long i = block; i < block_end; i += tile_rows) {
          add_tile(terms, a + i * k + p, k, 1, b + p * n + j, n, c + i * n + j, n);
        }
      }
    }
  }
  add_edge(a, b, c, k, n, {0, rows}, {cols, n});
  add_edge(a, b, c, k, n, {rows, m}, {0, n});
}
