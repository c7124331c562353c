// What the rung of CUDA needs beside its kernels: the problem on the GPU, and launches. Every error is thrown.
#pragma once

#include <cuda_runtime.h>

#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "rung.h"

/// Throws CUDA's own words unless `status` is success.
inline void require(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

inline cudaStream_t stream() { return cudaStreamPerThread; }

/// Arrays in the GPU's memory, as long as this lives.
class Memory {
public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    for (void* one : all_) cudaFree(one);
  }

  /// An array (n), not filled.
  template <class T> T* make(Index n) {
    if (n > Index{1} << 56) throw std::bad_alloc(); // its bytes could not be counted
    all_.push_back(nullptr);
    require(cudaMalloc(&all_.back(), static_cast<std::size_t>(n) * sizeof(T)));
    return static_cast<T*>(all_.back());
  }
  /// A copy of an array (n) of the host.
  template <class T> T* copy(const T* from, Index n) {
    T* made = make<T>(n);
    require(cudaMemcpyAsync(made, from, static_cast<std::size_t>(n) * sizeof(T), cudaMemcpyHostToDevice, stream()));
    return made;
  }

private:
  std::vector<void*> all_;
};

/// The problem with its arrays on the GPU, and what is written there: h and dz1 (B, H), dz2 (B, K), a loss a row (n).
struct OnDevice : Problem {
  double *h, *dz1, *dz2, *row_losses;
};

inline OnDevice copied(const Problem& p, Memory& memory) {
  const Problem there{memory.copy(p.X, p.N * p.D),
                      memory.copy(p.labels, p.N),
                      memory.copy(p.order, p.n),
                      p.N,
                      p.n,
                      p.epochs,
                      p.batch_size,
                      p.D,
                      p.H,
                      p.K,
                      p.lr,
                      memory.copy(p.W1, p.D * p.H),
                      memory.copy(p.b1, p.H),
                      memory.copy(p.W2, p.H * p.K),
                      memory.copy(p.b2, p.K),
                      nullptr};
  return {there, memory.make<double>(p.batch_size * p.H), memory.make<double>(p.batch_size * p.H),
          memory.make<double>(p.batch_size * p.K), memory.make<double>(p.n)};
}

/// Copies an array (n) of the GPU to the host, after all that was queued before.
template <class T> void fetch(T* to, const T* from, Index n) {
  require(cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(T), cudaMemcpyDeviceToHost, stream()));
  require(cudaStreamSynchronize(stream()));
}

/// The mean of an array (n) of the GPU.
inline double mean(const double* of, Index n) {
  std::vector<double> here(static_cast<std::size_t>(n));
  fetch(here.data(), of, n);
  return std::accumulate(here.begin(), here.end(), 0.0) / static_cast<double>(n);
}

/// Copies the parameters back.
inline void fetch_parameters(const Problem& to, const Problem& from) {
  fetch(to.W1, from.W1, to.D * to.H);
  fetch(to.b1, from.b1, to.H);
  fetch(to.W2, from.W2, to.H * to.K);
  fetch(to.b2, from.b2, to.K);
}

/// Keeps what an error says until the next one of this thread.
inline const char* sentence(const char* said) {
  static thread_local std::string kept;
  kept = said;
  return kept.c_str();
}

/// Queues a kernel: so many blocks of so many threads.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), Index blocks, unsigned threads, const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(threads);
  config.stream = stream();
  require(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...));
}
