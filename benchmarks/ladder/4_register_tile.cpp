// Rung 4, register tile: a small block of c is summed up in registers and written once. The tile is register_tile.h.
//
//   c[i : i + rows, j : j + cols] = sum over p of a[i : i + rows, p] b[p, j : j + cols]        one tile at a time
//
// Before: each multiply-add needed two loads and a store: b's vector, c's vector, and c's back. The arithmetic waited.
// Now: c is loaded and stored once for each tile, and a vector of b, once loaded, serves all rows of the tile.
#include "register_tile.h"

void multiply(const float* a, const float* b, float* c, long m, long k, long n) {
  using namespace ladder;
  for (long index = 0; index < m * n; ++index) c[index] = 0;

  const long rows = m / tile_rows * tile_rows, cols = n / tile_cols * tile_cols; // of whole tiles
  for (long j = 0; j < cols; j += tile_cols) {
    for (long i = 0; i < rows; i += tile_rows) add_tile(k, a + i * k, k, 1, b + j, n, c + i * n + j, n);
  }
  add_edge(a, b, c, k, n, {0, rows}, {cols, n});
  add_edge(a, b, c, k, n, {rows, m}, {0, n});
}
