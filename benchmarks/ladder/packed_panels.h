// The panels of rungs 6 and 7: blocks of a and b, copied in the order in which the tiles read them.
//
//   panel of a (terms, tile_rows): element [t, r] is a[i + r, p + t], or 0 where a has no such row
//   panel of b (terms, tile_cols): element [t, q] is b[p + t, j + q], or 0 where b has no such column
#pragma once

#include <vector>

#include "cache_blocks.h"

namespace ladder {

/// Memory that begins with a cache line, so that no vector of a panel lies across two.
struct alignas(64) Line {
  float numbers[16];
};
inline std::vector<Line> room_for(long numbers) { return std::vector<Line>(numbers / 16 + 1); }

/// a (rows, terms), whose rows lie k numbers apart, into panels one after the other.
inline void pack_a(const float* a, long k, long rows, long terms, float* to) {
  for (long i = 0; i < rows; i += tile_rows, to += terms * tile_rows) {
    for (long r = 0; r < tile_rows; ++r) {
      for (long t = 0; t < terms; ++t) to[t * tile_rows + r] = i + r < rows ? a[(i + r) * k + t] : 0;
    }
  }
}

/// b (terms, cols), whose rows lie n numbers apart, into panels one after the other.
inline void pack_b(const float* b, long n, long terms, long cols, float* to) {
  for (long j = 0; j < cols; j += tile_cols) {
    const long count = smaller(tile_cols, cols - j);
    for (long t = 0; t < terms; ++t, to += tile_cols) {
      if (count == tile_cols) {
        std::memcpy(to, b + t * n + j, tile_cols * sizeof(float)); // of constant size: a few vectors
      } else {
        for (long q = 0; q < tile_cols; ++q) to[q] = q < count ? b[t * n + j + q] : 0;
      }
    }
  }
}

/// c, at most `rows` and `cols` of a tile, += the product of two panels. A tile that c's border cuts is summed up
/// whole, beside c.
inline void add_panels(long terms, const float* a, const float* b, float* c, long n, long rows, long cols) {
  if (rows >= tile_rows && cols >= tile_cols) {
    add_tile(terms, a, 1, tile_rows, b, tile_cols, c, n);
    return;
  }
  float whole[tile_rows * tile_cols] = {};
  add_tile(terms, a, 1, tile_rows, b, tile_cols, whole, tile_cols);
  for (long i = 0; i < smaller(rows, tile_rows); ++i) {
    for (long j = 0; j < smaller(cols, tile_cols); ++j) c[i * n + j] += whole[i * tile_cols + j];
  }
}

} // namespace ladder
