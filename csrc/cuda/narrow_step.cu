// A training step of a narrow network, forward pass, loss and backward pass, in one kernel, and a second one that adds
// the blocks' gradients up. It updates nothing, and takes no wide layers: those are products of many tiles.
//
// The operations of the list need 15 to 30 kernels for such a step, with some 1.3 us between them even in a graph, and
// all activations go through memory. Here a block has a tile of rows and keeps them in shared memory from x to the
// gradients (narrow_tile.h). Up to 256 tiles run side by side, so that a batch takes little longer than one of them
// does.
//
// How many rows a tile has, and how many blocks walk the tiles, depends on shapes alone, and so does the order of all
// sums: gradients are added up within a thread, over the threads of a block, over the tiles of a block, over blocks.
#include "cuda/narrow_tile.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

// Where shared memory allows it, two blocks share a multiprocessor: one multiplies while the other waits. So a thread
// may have 128 registers; in double precision it needs more, and a block is alone.
template <class T>
__global__ void __launch_bounds__(block_threads, sizeof(T) == 4 ? 2 : 1)
    take_tiles(const __grid_constant__ NarrowCall<T> call) {
  T* const shared = reinterpret_cast<T*>(shared_memory());
  for (Index number = blockIdx.x; number < call.plan.tiles; number += gridDim.x) {
    NarrowTile<T> tile(call, shared, number);
    tile.forward();
    tile.assess();
    tile.backward(number != blockIdx.x);
  }
}

/// Where gradient i of a block's belongs.
template <class T> __device__ T* place_of(const NarrowCall<T>& call, Index i) {
  int l = 0;
  while (i >= call.plan.gradients[l + 1]) ++l;
  const NarrowLayer<T>& layer = call.step.layers[l];
  const Index within = i - call.plan.gradients[l], weights = layer.inputs * layer.outputs;
  return within < weights ? layer.dweight + within : layer.dbias + (within - weights);
}

/// The gradients are the sums of those of all blocks, from the first to the last.
template <class T> __global__ void add_blocks(const T* gradients, const __grid_constant__ NarrowCall<T> call) {
  __shared__ StripTiles<T> tiles;
  const Index size = call.plan.gradients[call.step.depth];
  const StripShare share = strip_share(blockIdx.x, size);
  const T* own = gradients + share.column;
  const T total = strip_sum(tiles, call.plan.blocks, T(0), [&](Index block) { return own[block * size]; });
  if (share.writes && share.first_row == 0) *place_of(call, share.column) = total;
}

template <class T> bool takes(const NarrowStep<T>& step) {
  return widest_of(step) <= narrow_width && fits(step, smallest_tiles(step));
}

template <class T> void take(const NarrowStep<T>& step) {
  const NarrowCall<T> call{step, plan_of(step)};
  const Grid grid{call.plan.blocks, block_threads, shared_bytes<T>(call.plan)};
  if (call.plan.blocks == 1) return launch("narrow_step", take_tiles<T>, grid, call);

  NarrowCall<T> parts = call;
  T* const gradients = static_cast<T*>(workspace());
  for (Index l = 0; l < step.depth; ++l) {
    NarrowLayer<T>& layer = parts.step.layers[l];
    T* const own = gradients + call.plan.gradients[l];
    if (layer.dweight != nullptr) layer.dweight = own;
    if (layer.dbias != nullptr) layer.dbias = own + layer.inputs * layer.outputs;
  }
  launch("narrow_step", take_tiles<T>, grid, parts);
  launch("narrow_step", add_blocks<T>, strips_of(call.plan.gradients[step.depth]), block_threads, gradients, call);
}

} // namespace

void list_narrow_step(Device& device) {
  device.narrow32 = {takes<float>, take<float>};
  device.narrow64 = {takes<double>, take<double>};
}

} // namespace chainrule::cuda
