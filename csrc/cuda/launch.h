// Launching: how an operation starts its kernels on the GPU, and how an error comes back.
//
// The team of a GPU is one host thread, and all that it asks for goes to one stream of its own, in order: an operation
// returns when its kernels are queued, not when they are done; but for the copies of feed.cu, which have a stream of
// their own. Nothing else in cuda/ talks to the CUDA runtime but memory.cu, graph.cu, feed.cu and timing.cu.
//
// launch queues a kernel as it is; for_elements calls a function of i for i = 0 .. n-1, a thread for each, or, above
// `most_blocks` blocks, for every so many.
#pragma once

#include <cuda_runtime.h>

#include <mutex>
#include <stdexcept>
#include <tuple>

#include "core/check.h"
#include "core/view.h"
#include "cuda/recording.h"

namespace chainrule::cuda {

// Threads of a block: eight warps, so that 8 blocks fill a multiprocessor of 2,048 threads (6 one of 1,536), and a
// block of 64 registers a thread still fits four times.
inline constexpr int block_threads = 256;
// Enough blocks for 8 on each of 264 multiprocessors, twice what any GPU of today has; beyond, threads take turns, and
// the grid stays below what one dimension may have.
inline constexpr Index most_blocks = 2112;

/// Memory of the GPU for what an operation needs on the way from one of its kernels to the next: the calling thread's
/// own, since its operations alone are done in order. Made when it is first asked for.
inline constexpr Index workspace_bytes = Index{1} << 25; // 256 tiles of 128 x 128 sums in double precision
void* workspace();
/// As many bytes as an operation asks for, for the same purpose, beside the workspace. Who asks next gets them too.
void* staging(Index bytes);

/// Throws a sentence with what was being done, and CUDA's own words, unless `status` is success.
inline void require(cudaError_t status, const char* doing) {
  if (status != cudaSuccess) throw std::runtime_error(text("CUDA: ", doing, " failed: ", cudaGetErrorString(status)));
}

/// The stream of the calling thread.
inline cudaStream_t stream() { return cudaStreamPerThread; }

/// Blocks of threads, and the bytes that those of a block share beside what the kernel declares.
struct Grid {
  Index blocks;
  int threads;
  Index shared_bytes = 0;
};

// What every kernel may share. A Hopper has 227 KiB for a block, but a kernel gets more than this only if it is told.
inline constexpr Index granted_shared_bytes = 48 * 1024;

/// Lets blocks of a kernel share so many bytes, or as many as they could before, if those are more.
inline cudaError_t allow_shared(const void* kernel, Index bytes) {
  if (bytes <= granted_shared_bytes) return cudaSuccess;
  static std::mutex one_at_a_time; // else a thread could take back what another has just been given
  const std::lock_guard lock(one_at_a_time);
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, kernel);
  if (status != cudaSuccess || attributes.maxDynamicSharedSizeBytes >= bytes) return status;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
}

/// The bytes of the grid that the calling thread's block shares. They begin at a multiple of 1024.
__device__ inline unsigned char* shared_memory() {
#if defined(__CUDACC__)
  extern __shared__ __align__(1024) unsigned char shared[];
  return shared;
#else
  return emulated::shared_memory;
#endif
}

/// Loads a kernel into the GPU's memory, if it is not there.
template <class... Parameters> cudaError_t load_kernel(const void* kernel) {
  cudaFuncAttributes attributes{};
  return cudaFuncGetAttributes(&attributes, reinterpret_cast<void (*)(Parameters...)>(const_cast<void*>(kernel)));
}

/// Queues a grid of a kernel, or lets the thread's recording have it.
template <class... Parameters, class... Arguments>
void launch(const char* operation, void (*kernel)(Parameters...), Grid grid, const Arguments&... arguments) {
  if (grid.blocks == 0) return;
  const auto blocks = static_cast<unsigned>(grid.blocks), threads = static_cast<unsigned>(grid.threads);
  const auto shared_bytes = static_cast<unsigned>(grid.shared_bytes);
  if (recording != nullptr) {
    std::tuple<Parameters...> values{Parameters(arguments)...};
    std::apply(
        [&](auto&... value) {
          void* places[] = {&value...};
          constexpr std::size_t sizes[] = {sizeof value...};
          recording->take({operation, reinterpret_cast<const void*>(kernel), load_kernel<Parameters...>, blocks,
                           threads, shared_bytes, places, sizes, sizeof...(value)});
        },
        values);
    return;
  }
  require(allow_shared(reinterpret_cast<const void*>(kernel), grid.shared_bytes), operation);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream();
  require(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), operation);
}

/// The same, of blocks that share no more than the kernel declares.
template <class... Parameters, class... Arguments>
void launch(const char* operation, void (*kernel)(Parameters...), Index blocks, int threads,
            const Arguments&... arguments) {
  launch(operation, kernel, Grid{blocks, threads}, arguments...);
}

/// The number of the calling thread among all of a launch, and how many there are.
__device__ inline Index thread_number() { return Index{blockIdx.x} * blockDim.x + threadIdx.x; }
__device__ inline Index thread_count() { return Index{gridDim.x} * blockDim.x; }

template <class Each> __global__ void run_elements(Index n, Each each) {
  for (Index i = thread_number(); i < n; i += thread_count()) each(i);
}

/// each(i) for i = 0 .. n-1, on the device. `each` is a struct with `__device__ void operator()(Index) const`.
template <class Each> void for_elements(const char* operation, Index n, Each each) {
  const Index blocks = (n + block_threads - 1) / block_threads;
  launch(operation, run_elements<Each>, blocks < most_blocks ? blocks : most_blocks, block_threads, n, each);
}

} // namespace chainrule::cuda
