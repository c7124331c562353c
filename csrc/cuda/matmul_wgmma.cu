// Large matrix products on a Hopper, by its own instructions: first both factors are staged (matmul_staging.h), then
// multiplied, tile by tile (matmul_wgmma_tile.h). Products that are not worth it, and other GPUs, are left to
// matmul_tensor.cu.
//
// Sums run along k in an order that depends on the shape alone: they repeat bit for bit. Where c is small and k is
// long, they are split (matmul_plan.h).
#include "cuda/matmul_wgmma.h"

#include <utility>

#include "cuda/matmul_wgmma_tile.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

// The tiles. Each has the multiprocessor to itself: its stages take 192 KiB of the 227 that a block may have. In the
// larger one a thread keeps 128 sums, of the 224 registers that 288 threads leave each other. The smaller one is for
// products of which the larger would leave multiprocessors idle.
constexpr WgmmaShape wgmma_tiles[] = {{128, 256, 4}, {128, 128, 6}};
constexpr int wgmma_tile_count = static_cast<int>(sizeof wgmma_tiles / sizeof(WgmmaShape));

// Code without the instructions is compiled too. It is for one thread: so it can be told from the other by asking how
// many threads a block may have, and would not start.
#if defined(CHAINRULE_HOPPER)
constexpr int most_threads = WgmmaShape::threads();
#else
constexpr int most_threads = 1;
#endif

template <class Rounding, int tile, int width>
__global__ void __launch_bounds__(most_threads, 1)
    multiply_staged([[maybe_unused]] Product<float> product, [[maybe_unused]] StagedFactors factors) {
#if defined(CHAINRULE_HOPPER)
  constexpr WgmmaShape shape = wgmma_tiles[tile];
  constexpr int terms = panel_terms<Rounding>();
  static_assert(part_grain % terms == 0, "parts consist of whole panels");
  const TilePlace place = tile_of_block(product.c, shape);
  product = part_of(product, place.part);
  WgmmaTile<Rounding, shape, width> work(place, shared_memory());
  work.compute(product, factors, place.part * product.part_terms / terms,
               static_cast<int>(slabs_of<Rounding>(product.sum)));
#endif
}

using StagedKernel = void (*)(Product<float>, StagedFactors);

template <class Rounding, int... tile>
StagedKernel kernel_of(std::integer_sequence<int, tile...>, int at, bool vectors) {
  constexpr StagedKernel kernels[][2] = {
      {multiply_staged<Rounding, tile, 1>, multiply_staged<Rounding, tile, vector_width<float>>}...};
  return kernels[at][vectors ? 1 : 0];
}
template <class Rounding> StagedKernel kernel_of(int tile, bool vectors) {
  return kernel_of<Rounding>(std::make_integer_sequence<int, wgmma_tile_count>(), tile, vectors);
}

/// Whether the GPU in use has the instructions, and this library code with them for it. Found out once.
bool has_instructions() {
  static const bool found = [] {
    cudaFuncAttributes attributes{};
    require(cudaFuncGetAttributes(&attributes, kernel_of<Tf32>(0, true)), "asking for a kernel");
    return attributes.maxThreadsPerBlock >= WgmmaShape::threads();
  }();
  return found;
}

// By which rates staging pays, in 10^12 a second: multiply-adds by mma.sync and by wgmma, and bytes of memory. By what
// others report of a Hopper, and what its second-level cache allows, not by measurement:
//   TF32       wgmma reaches some 300 TFLOP/s, mma.sync 60 % of that
//   bfloat16   wgmma reaches 600; mma.sync, whose tiles read factors of 4 bytes, 1 KiB for a term of 128 x 128 sums,
//              cannot be brought more than 7 TB/s, for 220
struct Rates {
  double by_mma, by_wgmma;
};
constexpr Rates rates_of(Tf32) { return {90, 150}; }
constexpr Rates rates_of(Bfloat16) { return {110, 300}; }
constexpr double bytes_rate = 3;
constexpr double kernel_time = 2; // one more, in 10^-6 s

/// Whether c (m, n), a sum of k terms, is done sooner if its factors are staged.
template <class Rounding> bool pays(Index m, Index n, Index k) {
  constexpr Rates rates = rates_of(Rounding());
  constexpr double word_bytes = sizeof(PanelWord), bytes = sizeof(float) + word_bytes / Rounding::terms;
  const double terms = static_cast<double>(k) * 1e-6;
  const double products = static_cast<double>(m) * static_cast<double>(n) * terms;
  const double numbers = static_cast<double>(m + n) * terms;
  return products / rates.by_mma > products / rates.by_wgmma + numbers * bytes / bytes_rate + kernel_time;
}

// More than this is not staged: factors of 268 million numbers together in TF32, of 537 million in bfloat16.
constexpr Index most_staged_bytes = Index{1} << 30;

} // namespace

template <class Rounding>
bool launch_wgmma(const Factor<float>& a, const Factor<float>& b, const MatrixView<float>& c, Write write,
                  const Epilogue<float>& epilogue) {
  const Index sum = a.cols(), slabs = slabs_of<Rounding>(sum);
  if (!pays<Rounding>(c.rows, c.cols, sum)) return false;
  const ProductPlan plan = best_plan<float>(wgmma_tiles, c.rows, c.cols, sum);
  const WgmmaShape shape = wgmma_tiles[plan.tile];
  const auto panels_along = [&](Index lines, int side) {
    return tiles_along(lines, side) * side / panel_lines * slabs;
  };
  const Index panels_of_a = panels_along(c.rows, shape.rows), panels_of_b = panels_along(c.cols, shape.columns);
  const Index bytes = (panels_of_a + panels_of_b) * panel_bytes;
  if (bytes > most_staged_bytes || !has_instructions()) return false;

  auto* panels = static_cast<PanelWord*>(staging(bytes));
  const Staged staged_a{lines_of_a(a), c.rows, panels};
  const Staged staged_b{lines_of_b(b), c.cols, panels + panels_of_a * panel_words};
  launch("matmul", stage<Rounding>, panels_of_a + panels_of_b, block_threads, staged_a, staged_b,
         static_cast<unsigned>(panels_of_a), sum, static_cast<unsigned>(slabs));
  const StagedFactors factors{staged_a.panels, staged_b.panels, slabs};
  launch_product(plan, a, b, c, write, epilogue, [&](const Product<float>& product, bool vectors) {
    const Index blocks = plan.parts * blocks_for(shape, c.rows, c.cols);
    launch("matmul", kernel_of<Rounding>(plan.tile, vectors), Grid{blocks, shape.threads(), shape.shared_bytes()},
           product, factors);
  });
  return true;
}

template bool launch_wgmma<Tf32>(const Factor<float>&, const Factor<float>&, const MatrixView<float>&, Write,
                                 const Epilogue<float>&);
template bool launch_wgmma<Bfloat16>(const Factor<float>&, const Factor<float>&, const MatrixView<float>&, Write,
                                     const Epilogue<float>&);

} // namespace chainrule::cuda
