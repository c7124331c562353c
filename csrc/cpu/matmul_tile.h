// The micro-kernel of matrix products: a tile of c that fits the registers.
//
//   c (ROWS, VECTORS * width) = start + sum over p of a[:, p] b[p, :]
//
// One source for every instruction set and precision. The tile reads both factors where they lie, packed or not:
// a through two steps (from row to row and along the sum), b through one (its rows are contiguous).
#pragma once

#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

// Tile sizes. The accumulators, one row of b and one element of a must fit the registers:
//   AVX-512, 32 registers:  8 x 3 + 3 + 1 = 28       AVX2, 16:  4 x 3 + 3 + 1 = 16       SSE2, 16:  4 x 2 + 2 + 2 = 12
// Three vectors to a row halve the loads for each multiplication against one (11 for 24 in 8 x 3).
#if defined(__AVX512F__)
constexpr int tile_rows = 8, tile_vectors = 3;
#elif defined(__AVX2__)
constexpr int tile_rows = 4, tile_vectors = 3;
#else
constexpr int tile_rows = 4, tile_vectors = 2;
#endif

/// Where a tile starts its sums: from 0, from a bias (cols), or from what is in c.
template <class T> struct TileStart {
  const T* bias = nullptr;
  bool add = false;
};

/// One tile's view of the factors. Elements are a[i * a_row + p * a_sum] and b[p * b_row + j].
template <class T> struct TileInput {
  Index sum; // length of the sum, k
  const T* a;
  Index a_row, a_sum;
  const T* b;
  Index b_row;
};

/// The last vector of a row is cut after `edge` lanes if EDGE, else whole.
template <class T, int ROWS, int VECTORS, bool EDGE>
void tile(TileInput<T> in, T* c, Index c_row, TileStart<T> start, Index edge) {
  constexpr Index width = Vec<T>::width;
  auto load_row = [&](const T* from, Vec<T>* row) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      if (EDGE && v == VECTORS - 1) {
        row[v] = load(from + v * width, Partial{edge});
      } else {
        row[v] = load(from + v * width);
      }
    }
  };

  Vec<T> sums[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; ++i) {
    if (start.add) {
      load_row(c + i * c_row, sums[i]);
    } else if (start.bias != nullptr) {
      load_row(start.bias, sums[i]);
    } else {
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[i][v] = Vec<T>(0);
    }
  }

  const T* a = in.a;
  const T* b = in.b;
  for (Index p = 0; p < in.sum; ++p, a += in.a_sum, b += in.b_row) {
    Vec<T> row[VECTORS];
    load_row(b, row);
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
      const Vec<T> element(a[i * in.a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[i][v] = sums[i][v] + element * row[v];
    }
  }

#pragma GCC unroll 8
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      if (EDGE && v == VECTORS - 1) {
        store(sums[i][v], c + i * c_row + v * width, Partial{edge});
      } else {
        store(sums[i][v], c + i * c_row + v * width);
      }
    }
  }
}

template <class T> using TileFunction = void (*)(TileInput<T>, T*, Index, TileStart<T>, Index);

/// The tiles of every size up to tile_rows x tile_vectors, with and without an edge.
template <class T> struct TileTable {
  TileFunction<T> at[tile_rows][tile_vectors][2];

  constexpr TileTable() : at{} { fill_rows<1>(); }

private:
  template <int ROWS> constexpr void fill_rows() {
    fill_vectors<ROWS, 1>();
    if constexpr (ROWS < tile_rows) fill_rows<ROWS + 1>();
  }
  template <int ROWS, int VECTORS> constexpr void fill_vectors() {
    at[ROWS - 1][VECTORS - 1][0] = &tile<T, ROWS, VECTORS, false>;
    at[ROWS - 1][VECTORS - 1][1] = &tile<T, ROWS, VECTORS, true>;
    if constexpr (VECTORS < tile_vectors) fill_vectors<ROWS, VECTORS + 1>();
  }
};

template <class T> constexpr TileTable<T> tiles;

/// c (rows, cols), at most one tile, by the kernel of its size.
template <class T> void run_tile(Index rows, Index cols, TileInput<T> in, T* c, Index c_row, TileStart<T> start) {
  constexpr Index width = Vec<T>::width;
  const Index vectors = (cols + width - 1) / width;
  const Index edge = cols - (vectors - 1) * width;
  tiles<T>.at[rows - 1][vectors - 1][edge < width](in, c, c_row, start, edge);
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
