// The micro-kernel of matrix products: a tile of c that fits the registers.
//
//   c (ROWS, VECTORS * width) = g(start + sum over p of a[:, p] b[p, :])       g: nothing, max(0, .), or . times relu'
//
// One source for every instruction set and precision. The tile reads both factors where they lie, packed or not: a
// through two steps (from row to row and along the sum), b through one (its rows are contiguous).
#pragma once

#include "cpu/vector.h"
#include "formulas/activations.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

// Tile sizes. The accumulators, one row of b and one element of a must fit the registers:
//   AVX-512, 32 registers:  8 x 3 + 3 + 1 = 28       AVX2, 16:  6 x 2 + 2 + 1 = 15       SSE2, 16:  4 x 2 + 2 + 2 = 12
// Two multiply-adds start in a cycle and take four: eight accumulators at least. The more vectors to a row, the fewer
// loads for each multiplication (11 for 24 in 8 x 3, 8 for 12 in 6 x 2), so a narrower tile is made taller instead.
// 4 x 3 would do for AVX2 too, but it leaves no register to spare, and needs panels of b half as wide again.
#if defined(__AVX512F__)
constexpr int tile_vectors = 3;
constexpr int tile_heights[] = {16, 12, 8}; // for 1, 2, 3 vectors
#elif defined(__AVX2__)
constexpr int tile_vectors = 2;
constexpr int tile_heights[] = {12, 6};
#else
constexpr int tile_vectors = 2;
constexpr int tile_heights[] = {8, 4};
#endif
constexpr int tile_rows = tile_heights[tile_vectors - 1]; // of a tile of full width
constexpr int most_tile_rows = tile_heights[0];

/// Where a tile starts its sums: at from[i * row + j]. A row step of 0 repeats one row: a bias, or zeros.
template <class T> struct TileStart {
  const T* from;
  Index row;
};
template <class T> alignas(alignment_bytes) constexpr T tile_zeros[tile_vectors * Vec<T>::width]{};

/// One tile's view of the factors. Elements are a[i * a_row + p * a_sum] and b[p * b_row + j].
template <class T> struct TileInput {
  Index sum; // length of the sum, k
  const T* a;
  Index a_row, a_sum;
  const T* b;
  Index b_row;
};

/// A tile of c, and what happens to it before it is stored.
template <class T> struct TileOutput {
  T* c;
  Index row;
  bool relu;
  const T* h = nullptr; // rows as far apart as those of c: multiply by 1 where h is above 0, by 0 elsewhere
};

/// The last vector of a row is cut after `edge` lanes if EDGE, else whole.
template <class T, int ROWS, int VECTORS, bool EDGE>
void tile(const TileInput<T>& in, TileStart<T> start, const TileOutput<T>& out, Index edge) {
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
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) load_row(start.from + i * start.row, sums[i]);

  // One pointer for four rows: base + {0, 1, 2, 3} steps. Left alone, the compiler keeps an offset for every row, and
  // above ten rows those no longer fit the registers; it cannot look through the empty instruction.
  constexpr int groups = (ROWS + 3) / 4;
  const Index a_row = in.a_row, a_sum = in.a_sum, b_row = in.b_row;
  const T *a[groups], *b = in.b;
#pragma GCC unroll 4
  for (int g = 0; g < groups; ++g) {
    a[g] = in.a + 4 * g * a_row;
    asm("" : "+r"(a[g]));
  }
  for (Index p = in.sum; p > 0; --p, b += b_row) {
    Vec<T> row[VECTORS];
    load_row(b, row);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      const Vec<T> element(a[i / 4][i % 4 * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[i][v] = sums[i][v] + element * row[v];
    }
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) a[g] += a_sum;
  }

  if (out.relu) {
    const Vec<T> zero(0);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[i][v] = max(zero, sums[i][v]); // NaN stays NaN
    }
  }
  if (out.h != nullptr) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      Vec<T> h[VECTORS];
      load_row(out.h + i * out.row, h);
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[i][v] = sums[i][v] * Relu().slope(h[v]); // NaN stays NaN
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      if (EDGE && v == VECTORS - 1) {
        store(sums[i][v], out.c + i * out.row + v * width, Partial{edge});
      } else {
        store(sums[i][v], out.c + i * out.row + v * width);
      }
    }
  }
}

template <class T> using TileFunction = void (*)(const TileInput<T>&, TileStart<T>, const TileOutput<T>&, Index);

/// The tiles of every width and height, with and without an edge.
template <class T> struct TileTable {
  TileFunction<T> at[tile_vectors][most_tile_rows][2];

  constexpr TileTable() : at{} { fill_vectors<1>(); }

private:
  template <int VECTORS> constexpr void fill_vectors() {
    fill_rows<VECTORS, 1>();
    if constexpr (VECTORS < tile_vectors) fill_vectors<VECTORS + 1>();
  }
  template <int VECTORS, int ROWS> constexpr void fill_rows() {
    at[VECTORS - 1][ROWS - 1][0] = &tile<T, ROWS, VECTORS, false>;
    at[VECTORS - 1][ROWS - 1][1] = &tile<T, ROWS, VECTORS, true>;
    if constexpr (ROWS < tile_heights[VECTORS - 1]) fill_rows<VECTORS, ROWS + 1>();
  }
};

template <class T> constexpr TileTable<T> tiles;

/// c (rows, cols), at most one tile, by the kernel of its size.
template <class T>
void run_tile(Index rows, Index cols, const TileInput<T>& in, TileStart<T> start, const TileOutput<T>& out) {
  constexpr Index width = Vec<T>::width;
  const Index vectors = (cols + width - 1) / width;
  const Index edge = cols - (vectors - 1) * width;
  tiles<T>.at[vectors - 1][rows - 1][edge < width](in, start, out, edge);
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
