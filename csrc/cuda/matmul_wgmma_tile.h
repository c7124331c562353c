// One tile of a matrix product by Hopper's instructions (wgmma.h): what a block of threads computes, of factors that
// were staged (matmul_staging.h).
//
//   c = g(from + sum over p of round(a[:, p]) round(b[p, :])), or without g, and with the old c as `from`
//
// Threads have roles. One brings panels, slab after slab, into shared memory, which has room for a few: the stages. Two
// warpgroups multiply, each 64 rows of the tile. Of each stage two barriers tell when it is full and when it is free.
// In the end the sums change places in shared memory, so that each warp stores whole lines of rows.
//
// `from` is added in the end, by one rounding to nearest: tensor cores may round worse.
#pragma once

#include "cuda/matmul_plan.h"
#include "cuda/matmul_staging.h"
#include "cuda/reduce.h"
#include "cuda/wgmma.h"

namespace chainrule::cuda {

/// Sizes of a tile: its part of c, and how many slabs of both factors shared memory has room for.
struct WgmmaShape {
  int rows, columns, stages;

  static constexpr int multipliers = 2; // warpgroups
  static constexpr int multiplying_threads() { return multipliers * warpgroup_threads; }
  static constexpr int threads() { return multiplying_threads() + warp_threads; }
  constexpr int sums_each() const { return rows * columns / multiplying_threads(); }
  constexpr int stage_bytes() const { return (rows + columns) * line_bytes; }
  /// Panels, then the barriers.
  constexpr int shared_bytes() const { return stages * (stage_bytes() + 2 * static_cast<int>(sizeof(std::uint64_t))); }
  /// What a slab costs: the bytes that it brings, of lines of both factors. Nothing here waits longer for the tensor
  /// cores: at 128 x 256 sums a slab takes them 1,024 cycles, and 48 KiB from the second-level cache, of which a
  /// multiprocessor gets some 30 bytes a cycle, 1,600. By these rates, not by measurement.
  constexpr Index cost() const { return rows + columns; }
};

/// The panels of both factors, and how many slabs the sum has.
struct StagedFactors {
  const PanelWord *a, *b;
  Index slabs;
};

#if defined(CHAINRULE_HOPPER)
/// A stage, and the number of the phase that its barriers are in.
template <int stages> struct Turn {
  int stage = 0;
  unsigned phase = 0;

  __device__ void pass() {
    stage = stage + 1 < stages ? stage + 1 : 0;
    if (stage == 0) phase ^= 1;
  }
};

template <class Rounding, WgmmaShape shape, int width> class WgmmaTile {
  static_assert(shape.rows == WgmmaShape::multipliers * 64, "a product of a warpgroup has 64 rows");
  static constexpr int multiplying_warps = WgmmaShape::multiplying_threads() / warp_threads;
  static constexpr int rows_of_warp = shape.rows / multiplying_warps;
  // Rows of sums in shared memory are 8 numbers longer than the tile: the four groups of lanes that are served together
  // write to four rows, each two pairs of banks further than the last.
  static constexpr int row_length = shape.columns + 8;
  static_assert(shape.rows * row_length * static_cast<int>(sizeof(float)) <= shape.stages * shape.stage_bytes(),
                "the sums have room where the panels were");

public:
  /// For a tile of c, with the memory that the block shares. All threads of the block must call.
  __device__ WgmmaTile(TilePlace tile, unsigned char* shared) : tile_(tile), shared_(shared) {
    thread_ = static_cast<int>(threadIdx.x);
    panels_ = ptx::shared_address(shared);
    if (thread_ == 0) {
      for (int stage = 0; stage < shape.stages; ++stage) {
        ptx::barrier_init(full(stage), 1);
        ptx::barrier_init(free(stage), multiplying_warps);
      }
      ptx::fence_barrier_init();
    }
    __syncthreads();
  }

  /// c = ..., of the slabs of this part of the sum.
  __device__ void compute(const Product<float>& product, const StagedFactors& factors, Index first_slab, int slabs) {
    float sums[shape.sums_each()] = {};
    if (thread_ < WgmmaShape::multiplying_threads()) {
      multiply(slabs, sums);
    } else if (thread_ == WgmmaShape::multiplying_threads()) {
      bring(factors, first_slab, slabs);
    }
    __syncwarp();    // with the one that brings
    __syncthreads(); // all panels have been multiplied
    if (thread_ < WgmmaShape::multiplying_threads()) finish(product, sums);
  }

private:
  __device__ static constexpr int barrier_bytes() { return static_cast<int>(sizeof(std::uint64_t)); }
  __device__ unsigned full(int stage) const {
    return panels_ + shape.stages * shape.stage_bytes() + stage * barrier_bytes();
  }
  __device__ unsigned free(int stage) const { return full(stage) + shape.stages * barrier_bytes(); }

  /// Brings all panels, each pair when its stage is free.
  __device__ void bring(const StagedFactors& factors, Index first_slab, int slabs) const {
    Turn<shape.stages> turn;
    const Index step = factors.slabs * panel_words; // to the panels of the next lines
    const PanelWord* a = factors.a + (tile_.row(shape) / panel_lines * step + first_slab * panel_words);
    const PanelWord* b = factors.b + (tile_.column(shape) / panel_lines * step + first_slab * panel_words);
    for (int slab = 0; slab < slabs; ++slab) {
      ptx::barrier_wait(free(turn.stage), turn.phase ^ 1); // at first, all are
      ptx::barrier_arrive_expect(full(turn.stage), shape.stage_bytes());
      unsigned to = panels_ + turn.stage * shape.stage_bytes();
      for (int i = 0; i < shape.rows / panel_lines; ++i, to += panel_bytes) {
        ptx::copy_bulk(to, a + i * step, panel_bytes, full(turn.stage));
      }
      for (int i = 0; i < shape.columns / panel_lines; ++i, to += panel_bytes) {
        ptx::copy_bulk(to, b + i * step, panel_bytes, full(turn.stage));
      }
      a += panel_words;
      b += panel_words;
      turn.pass();
    }
  }

  /// Adds the terms of all slabs to the sums of a warpgroup. A stage is free when the products of the next are under
  /// way: the tensor cores always have some to do.
  __device__ void multiply(int slabs, float (&sums)[shape.sums_each()]) const {
    Turn<shape.stages> turn;
    const unsigned rows_above = thread_ / warpgroup_threads * 64 * line_bytes;
    int before = 0;
    for (int slab = 0; slab < slabs; ++slab) {
      ptx::barrier_wait(full(turn.stage), turn.phase);
      const unsigned a = panels_ + turn.stage * shape.stage_bytes(), b = a + shape.rows * line_bytes;
      ptx::wgmma_fence();
      CHAINRULE_UNROLLED
      for (int at = 0; at < line_bytes; at += step_bytes) {
        multiply_lines(Rounding(), sums, lines_at(a + rows_above + at), lines_at(b + at));
      }
      ptx::wgmma_commit();
      ptx::wgmma_wait<1>();
      if (slab > 0 && thread_ % warp_threads == 0) ptx::barrier_arrive(free(before));
      before = turn.stage;
      turn.pass();
    }
    ptx::wgmma_wait<0>();
    ptx::wgmma_settle(sums);
  }

  /// Stores g of the sums and `from`. A warp has 16 rows, which no other touches.
  __device__ void finish(const Product<float>& product, float (&sums)[shape.sums_each()]) const {
    const int warp = thread_ / warp_threads, lane = thread_ % warp_threads, group = lane / 4, pair = lane % 4 * 2;
    const Index first_row = tile_.row(shape) + warp * rows_of_warp, first_column = tile_.column(shape);
    if (product.from != nullptr) add_from(product, first_row + group, first_column + pair, sums);
    float* own = reinterpret_cast<float*>(shared_) + warp * rows_of_warp * row_length;
    CHAINRULE_UNROLLED
    for (int i = 0; i < shape.sums_each(); i += 2) { // sums i and i + 1 are neighbours in a row
      const Chunk<float, 2> both{sums[i], sums[i + 1]};
      cuda::store(both, own + (group + i / 2 % 2 * 8) * row_length + i / 4 * 8 + pair);
    }
    __syncwarp();
    CHAINRULE_ROLLED
    for (int at = lane * width; at < rows_of_warp * shape.columns; at += warp_threads * width) {
      const int row = at / shape.columns, column = at % shape.columns;
      auto numbers = load<width>(own + row * row_length + column);
      activate(product.activation, numbers.at);
      if (first_row + row < product.c.rows && first_column + column < product.c.cols) {
        cuda::store(numbers, product.c.data + ((first_row + row) * product.c.stride + first_column + column));
      }
    }
  }

  /// Adds `from` to the sums of a lane, of which the first is at `row` and `column`.
  __device__ static void add_from(const Product<float>& product, Index row, Index column,
                                  float (&sums)[shape.sums_each()]) {
    constexpr int load_width = width < 2 ? width : 2;
    CHAINRULE_UNROLLED
    for (int down = 0; down < 2; ++down) {
      const Index at_row = row + down * 8;
      const float* from = product.from + (at_row * product.step + column);
      const Index left = at_row < product.c.rows ? product.c.cols - column : 0; // of the row
      CHAINRULE_UNROLLED
      for (int i = 0; i < shape.sums_each() / 4; ++i) {
        CHAINRULE_UNROLLED
        for (int q = 0; q < 2; q += load_width) {
          if (i * 8 + q < left) {
            const auto numbers = load<load_width>(from + i * 8 + q);
            CHAINRULE_UNROLLED
            for (int r = 0; r < load_width; ++r) sums[i * 4 + down * 2 + q + r] += numbers.at[r];
          }
        }
      }
    }
  }

  TilePlace tile_;
  unsigned char* shared_;
  int thread_;
  unsigned panels_; // the address of shared_
};
#endif

} // namespace chainrule::cuda
