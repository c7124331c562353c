// What matrix products on the GPU share, whichever instructions multiply: how factors lie in memory, which block
// computes which tile of c, which tile suits a shape, and the walk along the sum. It multiplies nothing itself.
//
//   c = from + sum over p of a[:, p] b[p, :]
//
// Where c is small and the sum is long, as in the gradient of a narrow layer's weights, there are fewer tiles than
// multiprocessors. The sum is then cut into parts, each with tiles of its own, which go to the workspace (memory.cu);
// a second kernel adds the parts up, from the first to the last. How many parts, depends on the shape alone.
//
// A shape of tiles is a struct with `rows` and `columns`, the part of c that a block computes, `threads()` of a block
// and `cost()`, what a term of the sum takes, in any unit.
#pragma once

#include <cstdint>

#include "cuda/launch.h"
#include "cuda/number.h"
#include "cuda/slopes.h"
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
  Index part_terms; // of the sum in each part; the last may have fewer
};

/// A part of a product: its terms, and its c, which follows that of the part before. The first one has `from`.
template <class T> __device__ Product<T> part_of(Product<T> product, unsigned part) {
  const Index first = part * product.part_terms, left = product.sum - first;
  product.a.data += product.a.along_sum ? first : first * product.a.stride;
  product.b.data += product.b.along_sum ? first : first * product.b.stride;
  product.sum = left < product.part_terms ? left : product.part_terms;
  if (part > 0) product.from = nullptr;
  product.c.data += part * product.c.rows * product.c.stride;
  return product;
}

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

/// Which part of the sum and which tile of c are those of a block: their numbers, which take fewer registers than where
/// they begin.
struct TilePlace {
  unsigned part, down, across;

  template <class Shape> __device__ Index row(Shape shape) const { return Index{down} * shape.rows; }
  template <class Shape> __device__ Index column(Shape shape) const { return Index{across} * shape.columns; }
};

template <class T, class Shape> __device__ TilePlace tile_of_block(MatrixView<T> c, Shape shape) {
  const auto down = static_cast<unsigned>(tiles_along(c.rows, shape.rows));
  const auto across = static_cast<unsigned>(tiles_along(c.cols, shape.columns));
  const unsigned part = blockIdx.x / (down * across), tile = blockIdx.x % (down * across);
  const unsigned first_down = tile / (rows_of_tiles * across) * rows_of_tiles;
  const unsigned group = tile % (rows_of_tiles * across);
  const unsigned height = down - first_down < rows_of_tiles ? down - first_down : rows_of_tiles;
  return {part, first_down + group % height, group / height};
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

// Parts that are worth their while have so many terms: some 4 us of a tile of 128 x 128, beside the 3 us that a second
// kernel and the way through the workspace take. By rates, not by measurement.
inline constexpr Index least_part_terms = 256;
// A part ends where whole panels do, and 16 bytes of a line.
inline constexpr Index part_grain = 64;

/// How a product is done: with which tile, and in how many parts of so many terms.
struct ProductPlan {
  int tile = 0;
  Index parts = 1, part_terms = 0;
};

/// The plan of a tile for c (rows, columns) and a sum of so many terms. Parts are as many as keep all multiprocessors
/// busy twice over, as are worth their while, and as the workspace holds.
template <class T, class Shape> ProductPlan plan_of(int tile, Shape shape, Index rows, Index columns, Index sum) {
  const Index blocks = blocks_for(shape, rows, columns);
  if (blocks == 0) return {tile, 1, sum};
  Index parts = 2 * multiprocessors / blocks;
  for (const Index most :
       {sum / least_part_terms, workspace_bytes / static_cast<Index>(sizeof(T)) / (rows * columns)}) {
    parts = parts < most ? parts : most;
  }
  if (parts < 2) return {tile, 1, sum};
  const Index terms = ((sum + parts - 1) / parts + part_grain - 1) / part_grain * part_grain;
  return {tile, (sum + terms - 1) / terms, terms};
}

/// The plan by which a product should be done first, its blocks being dealt to the multiprocessors in turn. Where c is
/// narrow, tiles that reach far beyond it lose.
template <class T, class Shape, int count>
ProductPlan best_plan(const Shape (&tiles)[count], Index rows, Index columns, Index sum) {
  ProductPlan best;
  Index best_cost = -1;
  for (int tile = 0; tile < count; ++tile) {
    const ProductPlan plan = plan_of<T>(tile, tiles[tile], rows, columns, sum);
    const Index blocks = plan.parts * blocks_for(tiles[tile], rows, columns);
    const Index terms = plan.part_terms > 0 ? plan.part_terms : 1; // without terms, all the same: where c is stored
    const Index time = (blocks + multiprocessors - 1) / multiprocessors * tiles[tile].cost() * terms;
    if (best_cost < 0 || time < best_cost) {
      best = plan;
      best_cost = time;
    }
  }
  return best;
}

/// c = g of the sum of all parts, each of which has an element `size` behind that of the part before.
template <class T> struct AddParts {
  const T* sums;
  Index parts, size;
  MatrixView<T> c;
  Activation activation;

  __device__ void operator()(Index i) const {
    T sum = sums[i];
    for (Index part = 1; part < parts; ++part) sum += sums[part * size + i];
    c.data[i / c.cols * c.stride + i % c.cols] = activated(activation, sum);
  }
};

/// Whether all lines of an array consist of whole vectors.
template <class T> bool in_vectors(const MatrixView<const T>& matrix) {
  constexpr Index width = vector_width<T>;
  return reinterpret_cast<std::uintptr_t>(matrix.data) % alignof(Chunk<T, width>) == 0 && matrix.cols % width == 0 &&
         matrix.stride % width == 0;
}

template <class T> Lines<T> lines_of_a(const Factor<T>& a) { return {a.matrix.data, a.matrix.stride, !a.transposed}; }
template <class T> Lines<T> lines_of_b(const Factor<T>& b) { return {b.matrix.data, b.matrix.stride, b.transposed}; }

/// Queues c = g(a b + bias), c = (a b) g'(h), or c += a b, by a plan: queue(product, vectors) queues the kernel that
/// computes the product, or all parts of it; `vectors` says whether all lines of all arrays allow loads and stores of
/// 16 bytes. The slopes are a kernel of their own.
template <class T, class Queue>
void launch_product(ProductPlan plan, const Factor<T>& a, const Factor<T>& b, const MatrixView<T>& c, Write write,
                    const Epilogue<T>& epilogue, Queue queue) {
  const bool add = write == Write::add;
  const bool slopes = epilogue.h != nullptr && epilogue.activation.kind != ActivationKind::identity;
  const Activation activation = slopes ? Activation{} : epilogue.activation;
  const MatrixView<const T> bias{epilogue.bias, 1, c.cols, c.cols};
  const bool vectors = in_vectors(a.matrix) && in_vectors(b.matrix) && in_vectors<T>(c) && in_vectors(bias);
  Product<T> product{lines_of_a(a), lines_of_b(b),  a.cols(), add ? c.data : epilogue.bias, add ? c.stride : 0, c,
                     activation,    plan.part_terms};
  const bool splits = plan.parts > 1;
  if (splits) {
    product.c = dense_view(static_cast<T*>(workspace()), c.rows, c.cols);
    product.activation = {};
  }
  queue(product, vectors);
  if (splits) {
    for_elements("matmul", c.size(), AddParts<T>{product.c.data, plan.parts, c.size(), c, activation});
  }
  if (slopes) queue_slopes(epilogue.activation, epilogue.h, c.data, c.data, c.size());
}

template <class T> using ProductKernel = void (*)(Product<T>);

/// The same, by the best of the tiles. Each has two kernels: of loads and stores of single numbers, and of 16 bytes.
template <class T, class Shape, int count>
void launch_product(const Shape (&tiles)[count], const ProductKernel<T> (&kernels)[count][2], const Factor<T>& a,
                    const Factor<T>& b, const MatrixView<T>& c, Write write, const Epilogue<T>& epilogue) {
  const ProductPlan plan = best_plan<T>(tiles, c.rows, c.cols, a.cols());
  launch_product(plan, a, b, c, write, epilogue, [&](const Product<T>& product, bool vectors) {
    const auto shape = tiles[plan.tile];
    launch("matmul", kernels[plan.tile][vectors ? 1 : 0], plan.parts * blocks_for(shape, c.rows, c.cols),
           shape.threads(), product);
  });
}

} // namespace chainrule::cuda
