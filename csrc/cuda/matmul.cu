// Matrix products: c = g(a b + bias), c = (a b) g'(h), or c += a b.
//
// Every element of c is one chain of multiply-adds along k, in order, which starts at the bias, at the old c or at 0,
// as on the CPU: no tile changes a bit. Where c is small and k is long, there are several chains, one behind the other,
// whose sums are added up in order (matmul_plan.h).
//
// A block of threads computes one tile of c (matmul_tile.h). Which tile, depends on the shape of c alone. Each is
// compiled twice: with loads and stores of 16 bytes, where all lines of all arrays allow it, and of single numbers.
#include <utility>

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

template <class T, int tile, int width>
__global__ void __launch_bounds__(tiles<T>[tile].threads(), tiles<T>[tile].blocks) multiply(Product<T> product) {
  constexpr TileShape shape = tiles<T>[tile];
  __shared__ Panels<T, shape> panels[2];
  const TilePlace place = tile_of_block(product.c, shape);
  product = part_of(product, place.part);
  // (-0) (+0) = -0, and x + -0 is x for every x: the terms that the last panel lacks change no bit.
  Carrier<T, shape.rows, shape.depth, shape.threads(), width> a(product.a, place.row(shape), product.c.rows, T(-0.0));
  Carrier<T, shape.columns, shape.depth, shape.threads(), width> b(product.b, place.column(shape), product.c.cols,
                                                                   T(0));
  Sums<T, shape, width> sums(place);
  sums.start(product);
  add_terms(product.sum, shape.depth, a, b, panels, sums);
  sums.finish(product);
}

template <class T, int... tile, class... Arguments>
void launch_tiles(std::integer_sequence<int, tile...>, const Arguments&... arguments) {
  constexpr ProductKernel<T> kernels[][2] = {{multiply<T, tile, 1>, multiply<T, tile, vector_width<T>>}...};
  launch_product(tiles<T>, kernels, arguments...);
}

template <class T>
void matmul(const Team&, const Factor<T>& a, const Factor<T>& b, const MatrixView<T>& c, Write write,
            const Epilogue<T>& epilogue) {
  launch_tiles<T>(std::make_integer_sequence<int, tile_count<T>>(), a, b, c, write, epilogue);
}

} // namespace

void list_matmul(Device& device) {
  device.float32.matmul = matmul<float>;
  device.float64.matmul = matmul<double>;
}

} // namespace chainrule::cuda
