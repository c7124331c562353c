// The product of rungs 6 and 7: the loops of rung 5 around panels, for some columns of b and c or for all.
//
//   c[I, :] += packed(a[I, P]) packed(b[P, :])        for all blocks P of the sum, for all blocks I of rows
#pragma once

#include "packed_panels.h"

namespace ladder {

/// c (m, cols) = a (m, k) b (k, cols), where the rows of b and of c lie n numbers apart.
inline void multiply_packed(const float* a, const float* b, float* c, long m, long k, long cols, long n) {
  for (long i = 0; i < m; ++i) {
    for (long j = 0; j < cols; ++j) c[i * n + j] = 0;
  }
  const long tiles = (cols + tile_cols - 1) / tile_cols;
  std::vector<Line> room_a = room_for(row_block * sum_block), room_b = room_for(tiles * tile_cols * sum_block);
  float *const packed_a = room_a.data()->numbers, *const packed_b = room_b.data()->numbers;

  for (long p = 0; p < k; p += sum_block) {
    const long terms = smaller(sum_block, k - p);
    pack_b(b + p * n, n, terms, cols, packed_b);
    for (long block = 0; block < m; block += row_block) {
      const long rows = smaller(row_block, m - block);
      pack_a(a + block * k + p, k, rows, terms, packed_a);
      for (long j = 0; j < cols; j += tile_cols) {
        for (long i = 0; i < rows; i += tile_rows) {
          add_panels(terms, packed_a + i * terms, packed_b + j * terms, c + (block + i) * n + j, n, rows - i, cols - j);
        }
      }
    }
  }
}

} // namespace ladder
