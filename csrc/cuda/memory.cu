// The GPU and its memory: whether there is one, what it is, and the ways in and out. No kernel stands here.
#include <vector>

#include "cuda/launch.h"
#include "cuda/operations.h"
#include "cuda_table.h"

namespace chainrule::cuda {

namespace {

// Kernels are compiled for compute capability 8.0 (Ampere, 2020) and later.
constexpr int least_major = 8;

/// Of the device in use. Asking makes no context there, which takes time and memory; asking for free memory does.
cudaDeviceProp properties_in_use() {
  cudaDeviceProp properties{};
  require(cudaGetDeviceProperties(&properties, number()), "asking for the device's properties");
  return properties;
}

std::string version_text(int version) { return text(version / 1000, ".", version % 1000 / 10); }

std::string find_trouble() {
  int driver = 0, runtime = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no NVIDIA driver was found";
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver && cudaRuntimeGetVersion(&runtime) == cudaSuccess) {
    return text("the NVIDIA driver is too old: it knows CUDA ", version_text(driver), ", and chainrule was built with ",
                version_text(runtime));
  }
  if (status != cudaSuccess) return text("no GPU can be used: ", cudaGetErrorString(status));
  if (count == 0) return "no GPU was found";
  const cudaDeviceProp gpu = properties_in_use();
  if (gpu.major >= least_major) return "";
  return text("the GPU ", gpu.name, " is too old: its compute capability is ", gpu.major, ".", gpu.minor,
              ", and chainrule needs 8.0");
}

} // namespace

bool compiled() { return true; }

const std::string& trouble() {
  static const std::string found = find_trouble();
  return found;
}

int number() {
  int number = 0;
  require(cudaGetDevice(&number), "asking for the device");
  return number;
}

bool is_gpu_memory(const void* place) {
  cudaPointerAttributes attributes{};
  require(cudaPointerGetAttributes(&attributes, place), "asking where an array lies");
  return attributes.type == cudaMemoryTypeManaged ||
         (attributes.type == cudaMemoryTypeDevice && attributes.device == number());
}

void synchronize() { require(cudaDeviceSynchronize(), "an operation on the GPU"); }

About about() {
  const cudaDeviceProp properties = properties_in_use();
  About gpu;
  gpu.name = properties.name;
  gpu.major = properties.major;
  gpu.minor = properties.minor;
  gpu.processors = properties.multiProcessorCount;
  require(cudaMemGetInfo(&gpu.free, &gpu.memory), "asking for the device's memory");
  require(cudaDriverGetVersion(&gpu.driver), "asking for the driver's version");
  require(cudaRuntimeGetVersion(&gpu.runtime), "asking for the runtime's version");
  return gpu;
}

namespace {

/// Copies and the like would be done before what is being recorded.
void check_order() {
  if (recording != nullptr) throw std::logic_error("the GPU's memory is asked for while work is put together");
}

void* allocate_now(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError()); // told here, not again by the next launch
    std::size_t free = 0, all = 0;
    require(cudaMemGetInfo(&free, &all), "asking for free memory");
    throw OutOfMemory(
        text("the GPU has too little memory: ", bytes, " bytes were asked for, ", free, " of ", all, " are free"));
  }
  require(status, "allocating memory");
  return memory;
}

/// Kernels of the calling thread may still use it: cudaFree does not always wait for them.
void release(void* memory) noexcept {
  static_cast<void>(cudaStreamSynchronize(stream()));
  static_cast<void>(cudaFree(memory));
}

void* allocate(std::size_t bytes) {
  check_order();
  return allocate_now(bytes);
}

void clear(void* at, std::size_t bytes) {
  check_order();
  require(cudaMemsetAsync(at, 0, bytes, stream()), "clearing memory");
  finish();
}

void copy_in(void* to, const void* from, std::size_t bytes) {
  check_order();
  require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream()), "a copy to the GPU");
  finish();
}

void copy_out(void* to, const void* from, std::size_t bytes) {
  check_order();
  require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "a copy from the GPU");
  finish();
}

void copy(void* to, const void* from, std::size_t bytes) {
  check_order();
  require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "a copy on the GPU");
  finish();
}

/// Memory of a thread that grows, twofold at least while it is small. What was given out before stays until the thread
/// ends: a graph may know of it. Not in the way of what is being recorded: nobody may have used it before.
class Scratch {
public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    for (void* piece : pieces_) release(piece);
  }

  void* of(Index bytes) {
    if (bytes > bytes_) {
      const Index next = bytes < 2 * bytes_ && bytes < most_ahead ? 2 * bytes_ : bytes;
      pieces_.reserve(pieces_.size() + 1);
      pieces_.push_back(allocate_now(static_cast<std::size_t>(next)));
      bytes_ = next;
    }
    return pieces_.back();
  }

private:
  static constexpr Index most_ahead = Index{1} << 28;
  std::vector<void*> pieces_;
  Index bytes_ = 0; // of the last one
};

} // namespace

void* workspace() {
  thread_local Scratch scratch;
  return scratch.of(workspace_bytes);
}

void* staging(Index bytes) {
  thread_local Scratch scratch;
  return scratch.of(bytes);
}

std::size_t free_memory() {
  std::size_t free = 0, all = 0;
  require(cudaMemGetInfo(&free, &all), "asking for free memory");
  return free;
}

void finish() { require(cudaStreamSynchronize(stream()), "an operation on the GPU"); }

const Memory memory{allocate, release, clear, copy_in, copy_out, copy};

} // namespace chainrule::cuda
