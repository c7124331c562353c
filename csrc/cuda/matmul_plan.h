// What matrix products on the GPU share, whichever instructions multiply: how factors lie in memory, which block
// computes which tile of c, which tile suits a shape, and the walk along the sum. It multiplies nothing itself.
//
//   c = from + sum over p of a[:, p] b[p, :]
//
// A shape of tiles is a struct with `rows` and `columns`, the part of c that a block computes, `threads()` of a block
// and `cost()`, what a term of the sum takes, in any unit.
#pragma once

#include <cstdint>

#include "cuda/launch.h"
#include "cuda/number.h"
#include "kernels.h"

// Sums live in registers only if the loops over them are unrolled. Where that would repeat a formula for every sum, it
// is forbidden. What is hidden, the compiler takes for any number: it cannot prepare what follows from it.
#if defined(__CUDACC__)
#define CHAINRULE_UNROLLED _Pragma("unroll")
#define CHAINRULE_ROLLED _Pragma("unroll 1")
#define CHAINRULE_HIDDEN(index) asm("" : "+l"(index))
#else
#define CHAINRULE_UNROLLED
#define CHAINRULE_ROLLED
#define CHAINRULE_HIDDEN(index)
#endif

namespace chainrule::cuda {

// Numbers of the longest load and store, 16 bytes.
template <class T> constexpr int vector_width = 16 / static_cast<int>(sizeof(T));

/// `count` numbers that are loaded and stored as one.
template <class T, int count> struct alignas(count * sizeof(T)) Chunk { T at[count]; };

template <int count, class T> __device__ inline Chunk<T, count> load(const T* from) {
  return *reinterpret_cast<const Chunk<T, count>*>(from);
}
template <int count, class T> __device__ inline void store(const Chunk<T, count>& chunk, T* to) {
  *reinterpret_cast<Chunk<T, count>*>(to) = chunk;
}

/// A factor as a tile reads it: lines of neighbours in memory, which run along the sum or across it.
template <class T> struct Lines {
  const T* data;
  Index stride;
  bool along_sum;
};

/// What a product is made of. To the sum of element (i, j) belongs from[i * step + j], unless there is no such array.
template <class T> struct Product {
  Lines<T> a, b;
  Index sum;
  const T* from;
  Index step;
  MatrixView<T> c;
  Activation activation;
};

/// g(z), the formula being chosen at run time: a product compiled for each would take seven times the room.
template <class T> __device__ T activated(Activation activation, T z) {
  [[maybe_unused]] const double a = activation.a;
  switch (activation.kind) {
#define CHAINRULE_LINE(name, formula)                                                                                  \
  case ActivationKind::name:                                                                                           \
    return (formula).value(Number<T>(z)).v;
    CHAINRULE_ACTIVATIONS(CHAINRULE_LINE)
#undef CHAINRULE_LINE
  }
  return z;
}

/// z <- g(z), of numbers that lie in registers. Each formula stands here once: the numbers take turns in the first
/// place, by moves between registers.
template <class T, int count> __device__ void activate(Activation activation, T (&z)[count]) {
  if (activation.kind == ActivationKind::identity) return;
  CHAINRULE_ROLLED
  for (int turn = 0; turn < count; ++turn) {
    const T first = z[0];
    CHAINRULE_UNROLLED
    for (int j = 0; j + 1 < count; ++j) z[j] = z[j + 1];
    z[count - 1] = activated(activation, first);
  }
}

// A block -------------------------------------------------------------------------------------------------------------

// Neighbouring blocks compute tiles of so many rows of tiles, column after column: blocks that run at the same time
// then share panels of both factors, and find them in the second-level cache.
inline constexpr unsigned rows_of_tiles = 8;

constexpr Index tiles_along(Index total, int side) { return (total + side - 1) / side; }

/// Which tile of c is that of a block: its numbers, which take fewer registers than where it begins.
struct TilePlace {
  unsigned down, across;

  template <class Shape> __device__ Index row(Shape shape) const { return Index{down} * shape.rows; }
  template <class Shape> __device__ Index column(Shape shape) const { return Index{across} * shape.columns; }
};

template <class T, class Shape> __device__ TilePlace tile_of_block(MatrixView<T> c, Shape shape) {
  const auto down = static_cast<unsigned>(tiles_along(c.rows, shape.rows));
  const auto across = static_cast<unsigned>(tiles_along(c.cols, shape.columns));
  const unsigned first_down = blockIdx.x / (rows_of_tiles * across) * rows_of_tiles;
  const unsigned group = blockIdx.x % (rows_of_tiles * across);
  const unsigned height = down - first_down < rows_of_tiles ? down - first_down : rows_of_tiles;
  return {first_down + group % height, group / height};
}

/// Adds `sum` terms to the sums of a block, `depth` at a time. Shared memory holds the panels of a and b for these
/// terms, and has room for the next ones: those travel from memory to registers while the present ones are multiplied,
/// and from there to the other half of shared memory.
template <class CarrierA, class CarrierB, class Sums, class Panels>
__device__ void add_terms(Index sum, int depth, CarrierA& a, CarrierB& b, Panels (&panels)[2], Sums& sums) {
  a.load(sum);
  b.load(sum);
  a.store(panels[0].a);
  b.store(panels[0].b);
  __syncthreads();
  int present = 0;
  for (Index left = sum; left > 0; left -= depth) {
    a.load(left - depth); // after the last panel: nothing, but padding
    b.load(left - depth);
    sums.add(panels[present]);
    present = 1 - present;
    a.store(panels[present].a);
    b.store(panels[present].b);
    __syncthreads();
  }
}

// The launch ----------------------------------------------------------------------------------------------------------

// Multiprocessors of the GPU for which tiles are chosen: an A100 has 108, an H100 132. A constant, so that a shape has
// one tile everywhere.
inline constexpr Index multiprocessors = 128;

template <class Shape> constexpr Index blocks_for(Shape shape, Index rows, Index columns) {
  return tiles_along(rows, shape.rows) * tiles_along(columns, shape.columns);
}

/// The tile with which a c (rows, columns) should be done first, its blocks being dealt to the multiprocessors in turn.
/// Where c is narrow, tiles that reach far beyond it lose.
template <class Shape, int count> int best_tile(const Shape (&tiles)[count], Index rows, Index columns) {
  int best = 0;
  Index best_cost = -1;
  for (int tile = 0; tile < count; ++tile) {
    const Index blocks = blocks_for(tiles[tile], rows, columns);
    const Index time = (blocks + multiprocessors - 1) / multiprocessors * tiles[tile].cost();
    if (best_cost < 0 || time < best_cost) {
      best = tile;
      best_cost = time;
    }
  }
  return best;
}

/// Whether all lines of an array consist of whole vectors.
template <class T> bool in_vectors(MatrixView<const T> matrix) {
  constexpr Index width = vector_width<T>;
  return reinterpret_cast<std::uintptr_t>(matrix.data) % alignof(Chunk<T, width>) == 0 && matrix.cols % width == 0 &&
         matrix.stride % width == 0;
}

template <class T> using ProductKernel = void (*)(Product<T>);

/// Queues c = g(a b + bias), or c += a b, with the best of the tiles. Each has two kernels: of loads and stores of
/// single numbers, and of 16 bytes, for where all lines of all arrays allow it.
template <class T, class Shape, int count>
void launch_product(const Shape (&tiles)[count], const ProductKernel<T> (&kernels)[count][2], Factor<T> a, Factor<T> b,
                    MatrixView<T> c, Write write, Epilogue<T> epilogue) {
  const bool add = write == Write::add;
  const MatrixView<const T> bias{epilogue.bias, 1, c.cols, c.cols};
  const bool vectors = in_vectors(a.matrix) && in_vectors(b.matrix) && in_vectors<T>(c) && in_vectors(bias);
  const Lines<T> lines_a{a.matrix.data, a.matrix.stride, !a.transposed};
  const Lines<T> lines_b{b.matrix.data, b.matrix.stride, b.transposed};
  const Product<T> product{
      lines_a, lines_b, a.cols(), add ? c.data : epilogue.bias, add ? c.stride : 0, c, epilogue.activation};
  const int best = best_tile(tiles, c.rows, c.cols);
  launch("matmul", kernels[best][vectors ? 1 : 0], blocks_for(tiles[best], c.rows, c.cols), tiles[best].threads(),
         product);
}

} // namespace chainrule::cuda
