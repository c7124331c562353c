// What a layer, a loss or a penalty is told of the pass that it takes part in.
#pragma once

#include "kernels.h"

namespace chainrule {

/// Where a layer or a loss can do its work.
enum class Runs {
  anywhere,
  on_host,  // in the memory of this process alone
  on_caller // there, and all of a step by the one thread that asked for it
};

/// One member's way through a network: the team, the device's operations and memory, and what the random numbers count
/// by.
template <class T> struct Pass {
  const Team& team;
  const Kernels<T>& kernels;
  const Memory& memory;
  bool training = false; // set by the network, as the way through it is
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  Write gradients = Write::overwrite;        // whether backward replaces the parameters' gradients or adds to them
  const SparseProducts<T>* sparse = nullptr; // of the device
};

} // namespace chainrule
