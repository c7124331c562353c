// Recording: where the launches of a thread go while it puts a graph together (graph.cu), instead of to its stream.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace chainrule::cuda {

/// A launch: a kernel, its grid, and its arguments where the caller has them.
struct Request {
  const char* operation;
  const void* kernel;
  /// Loads the kernel, if it is not yet there: a graph is no place to begin with that.
  cudaError_t (*load)(const void* kernel);
  unsigned blocks, threads, shared_bytes;
  void** arguments;
  const std::size_t* sizes; // in bytes
  std::size_t count;        // of the arguments
};

class Recording {
public:
  virtual void take(const Request&) = 0;

protected:
  ~Recording() = default;
};

/// The recording of the calling thread, or null.
inline thread_local Recording* recording = nullptr;

} // namespace chainrule::cuda
