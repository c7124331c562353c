// Matrix products on tensor cores: c = g(a b + bias), c = (a b) g'(h), or c += a b, with a and b rounded.
//
// All arrays are float32, and so are the sums; each number of a factor is rounded before it is multiplied, to TF32
// (wrong by at most 2^-11 of itself) or to bfloat16 (2^-8): a product by about 2^-10, or 2^-7, of |a| |b|, beside what
// its sum loses. Sums run along k in an order that depends on the shape alone: they repeat bit for bit. Where c is
// small and k is long, they are split (matmul_plan.h).
//
// A block of threads computes one tile of c (matmul_tensor_tile.h). Which tile, depends on the shape of c alone. This
// code is for every GPU. On a Hopper it reaches, others report, 55 to 65 % of what tensor cores do that read shared
// memory themselves: there large products go to matmul_wgmma.cu.
#include <utility>

#include "cuda/matmul_tensor_tile.h"
#include "cuda/matmul_wgmma.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

// The tiles, the largest first. Panels take 16 KB, two pairs 32 KB. The largest has 64 x 64 sums a warp, 128 a thread,
// and a lane reads 16 quads from shared memory for 64 instructions; two of its blocks share a multiprocessor, with up
// to 255 registers a thread. The smaller ones are for products of which large tiles would leave multiprocessors idle.
constexpr TensorShape tensor_tiles[] = {{128, 128, 1, 2}, {64, 64, 2, 3}, {32, 32, 4, 4}};
constexpr int tensor_tile_count = static_cast<int>(sizeof tensor_tiles / sizeof(TensorShape));

template <class Rounding, int tile, int width>
__global__ void __launch_bounds__(TensorShape::threads(), tensor_tiles[tile].blocks)
    multiply_rounded(Product<float> product) {
  constexpr TensorShape shape = tensor_tiles[tile];
  __shared__ TensorPanels<shape> panels[2];
  const TilePlace place = tile_of_block(product.c, shape);
  product = part_of(product, place.part);
  TensorCarrier<Rounding, Role::a, shape.rows, shape.slabs, width> a(product.a, place.row(shape), product.c.rows);
  TensorCarrier<Rounding, Role::b, shape.columns, shape.slabs, width> b(product.b, place.column(shape), product.c.cols);
  TensorSums<Rounding, shape, width> sums(place);
  add_terms(product.sum, shape.slabs * slab_terms<Rounding>(), a, b, panels, sums);
  sums.finish(product);
}

template <class Rounding, int... tile, class... Arguments>
void launch_rounded(std::integer_sequence<int, tile...>, const Arguments&... arguments) {
  constexpr ProductKernel<float> kernels[][2] = {
      {multiply_rounded<Rounding, tile, 1>, multiply_rounded<Rounding, tile, vector_width<float>>}...};
  launch_product(tensor_tiles, kernels, arguments...);
}

template <class Rounding>
void matmul_rounded(const Team&, const Factor<float>& a, const Factor<float>& b, const MatrixView<float>& c,
                    Write write, const Epilogue<float>& epilogue) {
  if (launch_wgmma<Rounding>(a, b, c, write, epilogue)) return;
  launch_rounded<Rounding>(std::make_integer_sequence<int, tensor_tile_count>(), a, b, c, write, epilogue);
}

} // namespace

void list_matmul_tf32(Device& device) { device.float32.matmul = matmul_rounded<Tf32>; }
void list_matmul_bfloat16(Device& device) { device.float32.matmul = matmul_rounded<Bfloat16>; }

} // namespace chainrule::cuda
