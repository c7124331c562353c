// Shuffled orders on the GPU: the formula of formulas/shuffle.h, a thread for each place.
#include "formulas/shuffle.h"

#include "cuda/launch.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

struct ShuffledOrder {
  Shuffle shuffle;
  std::int32_t* order;
  __device__ void operator()(Index i) const {
    order[i] = static_cast<std::int32_t>(shuffle(static_cast<std::uint32_t>(i)));
  }
};

void shuffled_order(const Team&, const Shuffle& shuffle, std::int32_t* order) {
  for_elements("shuffled_order", shuffle.rows, ShuffledOrder{shuffle, order});
}

} // namespace

void list_shuffle(Device& device) {
  device.float32.shuffled_order = shuffled_order;
  device.float64.shuffled_order = shuffled_order;
}

} // namespace chainrule::cuda
