// Matrix products: c = g(a b + bias), or c += a b.
//
// Every element of c is one chain of multiply-adds along k, in order, which starts at the bias, at the old c or at 0,
// as on the CPU: no tile changes a bit. Sums are never split among blocks, which would need memory for their parts:
// where k is long and c is small, as in the weight gradient of a narrow layer, most of the GPU is idle.
//
// A block of threads computes one tile of c (matmul_tile.h). Which tile, depends on the shape of c alone. Each is
// compiled twice: with loads and stores of 16 bytes, where all lines of all arrays allow it, and of single numbers.
#include "cuda/matmul_tile.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

// The tiles, the largest first. The more sums a thread keeps, the more multiply-adds for each number that it reads from
// shared memory. 8 x 8 sums, and what is on its way, fit 128 registers, with which two blocks of 256 threads share a
// multiprocessor; in double precision, where a number takes two registers, 4 x 4 do. The smaller tiles are for products
// of which large ones would leave multiprocessors idle. The smallest is deeper: a block alone on a multiprocessor waits
// for memory once in every panel, so panels should be few.
template <class T>
constexpr TileShape tiles[] = {{128, 128, 16, 8, 8, 2}, {64, 64, 16, 4, 4, 3}, {32, 32, 32, 4, 2, 6}};
template <> constexpr TileShape tiles<double>[2] = {{64, 64, 16, 4, 4, 2}, {32, 32, 32, 4, 2, 4}};
template <class T> constexpr int tile_count = static_cast<int>(sizeof tiles<T> / sizeof(TileShape));

// Multiprocessors of the GPU for which tiles are chosen: an A100 has 108, an H100 132. A constant, so that a shape has
// one tile everywhere.
constexpr Index multiprocessors = 128;

// Neighbouring blocks compute tiles of so many rows of tiles, column after column: blocks that run at the same time
// then share panels of both factors, and find them in the second-level cache.
constexpr unsigned rows_of_tiles = 8;

constexpr Index tiles_along(Index total, int side) { return (total + side - 1) / side; }

template <class T, int tile, int width>
__global__ void __launch_bounds__(tiles<T>[tile].threads(), tiles<T>[tile].blocks) multiply(Product<T> product) {
  constexpr TileShape shape = tiles<T>[tile];
  __shared__ Panels<T, shape> panels[2];

  const auto down = static_cast<unsigned>(tiles_along(product.c.rows, shape.rows));
  const auto across = static_cast<unsigned>(tiles_along(product.c.cols, shape.columns));
  const unsigned first_down = blockIdx.x / (rows_of_tiles * across) * rows_of_tiles;
  const unsigned group = blockIdx.x % (rows_of_tiles * across);
  const unsigned height = down - first_down < rows_of_tiles ? down - first_down : rows_of_tiles;
  const Index row = Index{first_down + group % height} * shape.rows, column = Index{group / height} * shape.columns;

  // (-0) (+0) = -0, and x + -0 is x for every x: the terms that the last panel lacks change no bit.
  Carrier<T, shape.rows, shape.depth, shape.threads(), width> a(product.a, row, product.c.rows, T(-0.0));
  Carrier<T, shape.columns, shape.depth, shape.threads(), width> b(product.b, column, product.c.cols, T(0));
  Sums<T, shape, width> sums(row, column);

  a.load(product.sum);
  b.load(product.sum);
  sums.start(product);
  a.store(panels[0].a);
  b.store(panels[0].b);
  __syncthreads();
  int present = 0;
  for (Index left = product.sum; left > 0; left -= shape.depth) {
    a.load(left - shape.depth); // after the last panel: nothing, but padding
    b.load(left - shape.depth);
    sums.add(panels[present]);
    present = 1 - present;
    a.store(panels[present].a);
    b.store(panels[present].b);
    __syncthreads();
  }
  sums.finish(product);
}

/// What a term of the sum costs a tile, in multiply-adds: its own, and two for each number read from shared memory,
/// which brings 4 numbers to a warp in about 2 cycles, while the four parts of a multiprocessor start 4 multiply-adds
/// of a warp in each. By these rates, not by measurement.
constexpr Index cost(TileShape shape) {
  const Index area = shape.rows * shape.columns;
  return area + 2 * (area / shape.rows_each + area / shape.columns_each);
}

/// The tile with which a c (rows, columns) should be done first, its blocks being dealt to the multiprocessors in turn.
/// Where c is narrow, tiles that reach far beyond it lose.
template <class T> int best_tile(Index rows, Index columns) {
  int best = 0;
  Index best_cost = -1;
  for (int tile = 0; tile < tile_count<T>; ++tile) {
    const TileShape shape = tiles<T>[tile];
    const Index blocks = tiles_along(rows, shape.rows) * tiles_along(columns, shape.columns);
    const Index time = (blocks + multiprocessors - 1) / multiprocessors * cost(shape);
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

template <class T, int tile = 0> void launch_tile(int best, bool vectors, const Product<T>& product) {
  if constexpr (tile + 1 < tile_count<T>) {
    if (best != tile) return launch_tile<T, tile + 1>(best, vectors, product);
  }
  constexpr TileShape shape = tiles<T>[tile];
  const Index blocks = tiles_along(product.c.rows, shape.rows) * tiles_along(product.c.cols, shape.columns);
  launch("matmul", vectors ? multiply<T, tile, vector_width<T>> : multiply<T, tile, 1>, blocks, shape.threads(),
         product);
}

template <class T>
void matmul(const Team&, Factor<T> a, Factor<T> b, MatrixView<T> c, Write write, Epilogue<T> epilogue) {
  const bool add = write == Write::add;
  const MatrixView<const T> bias{epilogue.bias, 1, c.cols, c.cols};
  const bool vectors = in_vectors(a.matrix) && in_vectors(b.matrix) && in_vectors<T>(c) && in_vectors(bias);
  const Lines<T> lines_a{a.matrix.data, a.matrix.stride, !a.transposed};
  const Lines<T> lines_b{b.matrix.data, b.matrix.stride, b.transposed};
  launch_tile<T>(
      best_tile<T>(c.rows, c.cols), vectors,
      {lines_a, lines_b, a.cols(), add ? c.data : epilogue.bias, add ? c.stride : 0, c, epilogue.activation});
}

} // namespace

void list_matmul(Device& device) {
  device.float32.matmul = matmul<float>;
  device.float64.matmul = matmul<double>;
}

} // namespace chainrule::cuda
