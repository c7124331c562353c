// Owned: what a function of CUDA makes and another one destroys.
#pragma once

#include <cuda_runtime.h>

#include <memory>

#include "cuda/launch.h"

namespace chainrule::cuda {

template <class Handle, cudaError_t (*destroy)(Handle)> struct Destroy {
  using pointer = Handle;
  void operator()(Handle handle) const { static_cast<void>(destroy(handle)); }
};
template <class Handle, cudaError_t (*destroy)(Handle)> using Owned = std::unique_ptr<Handle, Destroy<Handle, destroy>>;

/// Says when work is done; one that was never recorded counts as done.
using Event = Owned<cudaEvent_t, cudaEventDestroy>;

inline Event make_event() {
  cudaEvent_t made = nullptr;
  require(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "making an event");
  return Event(made);
}

} // namespace chainrule::cuda
