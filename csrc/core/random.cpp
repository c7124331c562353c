// The shuffled order of an epoch. Everything else about random numbers is in the header.
#include "core/random.h"

#include <utility>

namespace chainrule {

__extension__ typedef unsigned __int128 Wide; // GCC and Clang have it; the standard does not

void shuffled_order(std::uint64_t seed, std::uint64_t epoch, Index n, std::int32_t* order) {
  for (Index i = 0; i < n; ++i) order[i] = static_cast<std::int32_t>(i);
  const Stream stream{seed, Purpose::shuffle, 0, epoch};
  std::array<std::uint64_t, 2> pair{};
  for (Index i = n - 1, draw = 0; i > 0; --i, ++draw) {
    if (draw % 2 == 0) pair = philox_pair(stream, static_cast<std::uint32_t>(draw / 2));
    const auto wide = static_cast<Wide>(pair[draw % 2]) * static_cast<std::uint64_t>(i + 1);
    std::swap(order[i], order[static_cast<Index>(wide >> 64)]);
  }
}

} // namespace chainrule
