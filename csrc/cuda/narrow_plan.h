// How a narrow network's step is cut up: which networks are narrow, how many rows a tile has, which blocks walk the
// tiles, and where a tile's arrays lie in shared memory. It computes nothing itself.
//
// All of it follows from shapes alone, the same on every GPU.
#pragma once

#include <algorithm>

#include "cuda/matmul_plan.h"

namespace chainrule::cuda {

// The widest layer, inputs included. Wider ones are worth products of many tiles.
inline constexpr int narrow_width = 128;
// Rows, or features, that are read as one.
inline constexpr int narrow_group = 4;
// Terms of a sum for which weights are in shared memory at a time: lines of 128 bytes.
template <class T> constexpr int panel_terms = 128 / static_cast<int>(sizeof(T));
// From line to line of a panel whose lines run along the sum: an odd number of groups, so that 8 neighbouring lines are
// on 8 different groups of banks.
template <class T> constexpr int panel_pitch = panel_terms<T> + narrow_group;
template <class T> constexpr int panel_size = narrow_width* panel_pitch<T>;
static_assert(panel_pitch<float> / narrow_group % 2 == 1 && panel_pitch<double> / narrow_group % 2 == 1);

// The least rows of a tile, as its logarithm: with 4 x 4 sums a thread, a block has those of 32 rows of the widest
// layer.
inline constexpr int least_log_rows = 5;
// Groups of rows for which a thread has sums: two, where registers allow it, share the weights that it reads.
template <class T> constexpr int most_row_groups = sizeof(T) == 4 ? 2 : 1;
// Sums of a block with so many groups a thread.
constexpr int block_sums(int groups) { return block_threads * groups * narrow_group * narrow_group; }

// What a block may have of shared memory on the smallest of the GPUs that kernels are compiled for (8.6 and 8.9). On an
// A100 one such block fits a multiprocessor, on an H100 two.
inline constexpr Index shared_limit = 99 * 1024;
// Blocks that all run at the same time where two fit a multiprocessor.
inline constexpr Index most_narrow_blocks = 2 * multiprocessors;

/// Features that an array has room for: as many as threads with 4 or 8 of them reach.
constexpr int padded(Index width) { return static_cast<int>((width + 7) / 8 * 8); }
/// Columns of a product for which threads have sums: 16 for a warp.
constexpr int dealt(Index width) { return static_cast<int>((width + 15) / 16 * 16); }

/// How a step is cut into tiles, and where a tile's arrays lie in shared memory.
struct NarrowPlan {
  int log_rows = least_log_rows;             // a tile has 2^log_rows rows
  int features = 0;                          // of all arrays in shared memory at a time
  int first[most_narrow_layers + 1]{};       // the first feature of x, and of each layer's output
  Index tiles = 0, blocks = 0;               // block b has the tiles b, b + blocks, ...
  Index gradients[most_narrow_layers + 1]{}; // where each layer's begin among a block's, and the end of all

  constexpr int rows() const { return 1 << log_rows; }
  constexpr int pitch() const { return rows() + narrow_group; } // from feature to feature
};

/// What the blocks of a step are told. Where there are several, the gradients have places of their own in the
/// workspace, each block's behind those of the block before; the step says where the first block's are.
template <class T> struct NarrowCall {
  NarrowStep<T> step;
  NarrowPlan plan;
};

template <class T> Index shared_bytes(const NarrowPlan& plan) {
  return (Index{plan.features} * plan.pitch() + panel_size<T>)*static_cast<Index>(sizeof(T));
}

template <class T> Index widest_of(const NarrowStep<T>& step) {
  Index widest = 0;
  for (Index l = 0; l < step.depth; ++l) widest = std::max({widest, step.layers[l].inputs, step.layers[l].outputs});
  return widest;
}

/// Whether a step of narrow layers can have such a plan.
template <class T> bool fits(const NarrowStep<T>& step, const NarrowPlan& plan) {
  return plan.rows() * dealt(widest_of(step)) <= block_sums(most_row_groups<T>) &&
         shared_bytes<T>(plan) <= shared_limit;
}

/// The plan of a step with the smallest tiles. The first layer's output begins the arrays. What follows it has the same
/// place as x, which has served when the second layer writes there, and comes back when all above the first is done.
template <class T> NarrowPlan smallest_tiles(const NarrowStep<T>& step) {
  NarrowPlan plan;
  int above = padded(step.layers[0].outputs);
  plan.first[0] = above;
  plan.features = above + padded(step.layers[0].inputs);
  for (Index l = 0; l < step.depth; ++l) {
    const NarrowLayer<T>& layer = step.layers[l];
    if (l > 0) {
      plan.first[l + 1] = above;
      above += padded(layer.outputs);
    }
    const Index weights = layer.dweight != nullptr ? layer.inputs * layer.outputs : 0;
    plan.gradients[l + 1] = plan.gradients[l] + weights + (layer.dbias != nullptr ? layer.outputs : 0);
  }
  plan.features = std::max(plan.features, above);
  return plan;
}

/// The plan of a step whose smallest tiles fit. They are larger where there would be more of them than blocks.
template <class T> NarrowPlan plan_of(const NarrowStep<T>& step) {
  NarrowPlan plan = smallest_tiles(step);
  const Index gradients = std::max(Index{1}, plan.gradients[step.depth]) * static_cast<Index>(sizeof(T));
  const Index most = std::min(most_narrow_blocks, workspace_bytes / gradients);
  plan.tiles = tiles_along(step.x.rows, plan.rows());
  while (plan.tiles > most) {
    NarrowPlan larger = plan;
    ++larger.log_rows;
    if (!fits(step, larger)) break;
    larger.tiles = tiles_along(step.x.rows, larger.rows());
    plan = larger;
  }
  const Index turns = (plan.tiles + most - 1) / most; // tiles of a block; the last blocks may have one fewer
  plan.blocks = (plan.tiles + turns - 1) / turns;
  return plan;
}

} // namespace chainrule::cuda
