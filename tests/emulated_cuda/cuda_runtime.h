// CUDA on the host, for tests: the part of the runtime and of the device language that csrc/cuda uses, so that its
// kernels run, and are tested, on machines without a GPU. CHAINRULE_CUDA=EMULATED in CMake.
//
// One block runs at a time, its threads one after the other: each goes on until it waits for the others of its warp or
// block, or polls for what others do. Odd blocks run their threads from the last to the first, so that a forgotten
// barrier shows. New memory is full of NaN. No speed, no memory model: everything is done when a call returns, but for
// copies in a stream that was made. Those wait until somebody waits for them, so that a forgotten wait for a copy
// shows; a copy that should have waited does not.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __grid_constant__
#define __shared__ static // one block at a time
#define __launch_bounds__(...)

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  explicit dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// The threads of a block ----------------------------------------------------------------------------------------------

namespace emulated {

enum class State { ready, polls, waits_for_warp, waits_for_warpgroup, waits_for_block, done };

// A stack of its own, which it keeps from kernel to kernel. It gets there by a context; from then on it and the
// scheduler change places by long jumps, which, unlike contexts, ask nothing of the operating system.
struct Thread {
  std::unique_ptr<char[]> stack;
  ucontext_t context;
  std::jmp_buf place;
  bool has_begun = false;
  State state = State::done;
};

inline constexpr std::size_t stack_bytes = 64 * 1024;
inline std::vector<std::unique_ptr<Thread>> threads; // of the block that runs
inline std::vector<std::uint64_t> slots;             // what each thread shows to its warp
inline std::jmp_buf scheduler;
inline unsigned current = 0;
inline const std::function<void()>* kernel = nullptr;
inline std::mutex one_launch;
inline bool something_happened = false; // that a thread may poll for

// Neither of the two has variables that change between the jump away and the jump back.
[[gnu::noinline]] inline void wait(State reason) {
  Thread& thread = *threads[current];
  thread.state = reason;
  if (_setjmp(thread.place) == 0) _longjmp(scheduler, 1);
}
[[gnu::noinline]] inline void resume(Thread& thread) {
  if (_setjmp(scheduler) != 0) return;
  if (thread.has_begun) _longjmp(thread.place, 1);
  thread.has_begun = true;
  setcontext(&thread.context);
}

inline void run_threads_for_ever() {
  for (;;) {
    (*kernel)();
    wait(State::done);
  }
}

/// A thread that has not yet begun.
inline std::unique_ptr<Thread> make_thread() {
  auto thread = std::make_unique<Thread>();
  thread->stack = std::make_unique<char[]>(stack_bytes);
  getcontext(&thread->context);
  thread->context.uc_stack.ss_sp = thread->stack.get();
  thread->context.uc_stack.ss_size = stack_bytes;
  makecontext(&thread->context, run_threads_for_ever, 0);
  return thread;
}

inline constexpr unsigned warpgroup = 128; // threads
inline unsigned linear(dim3 size) { return size.x * size.y * size.z; }

/// Lets those of [begin, end) go on that wait for `reason`, if all do that are not done.
inline bool release(unsigned begin, unsigned end, State reason) {
  bool any = false;
  for (unsigned t = begin; t < end; ++t) {
    if (threads[t]->state == State::done) continue;
    if (threads[t]->state != reason) return false;
    any = true;
  }
  for (unsigned t = begin; t < end && any; ++t) {
    if (threads[t]->state == reason) threads[t]->state = State::ready;
  }
  return any;
}

inline void run_block(bool backwards) {
  const unsigned count = linear(blockDim);
  for (unsigned t = 0; t < count; ++t) threads[t]->state = State::ready;
  for (;;) {
    bool ran = false, left = false;
    something_happened = false;
    for (unsigned i = 0; i < count; ++i) {
      current = backwards ? count - 1 - i : i;
      const State before = threads[current]->state;
      if (before != State::ready && before != State::polls) continue;
      threadIdx = {current % blockDim.x, current / blockDim.x % blockDim.y, current / blockDim.x / blockDim.y};
      resume(*threads[current]);
      ran |= threads[current]->state != State::polls || before != State::polls;
    }
    ran |= something_happened;
    bool released = false;
    for (unsigned begin = 0; begin < count; begin += warpSize) {
      released |= release(begin, std::min(begin + warpSize, count), State::waits_for_warp);
    }
    for (unsigned begin = 0; begin < count; begin += warpgroup) {
      released |= release(begin, std::min(begin + warpgroup, count), State::waits_for_warpgroup);
    }
    if (!released) released = release(0, count, State::waits_for_block);
    for (unsigned t = 0; t < count; ++t) left |= threads[t]->state != State::done;
    if (!left) return;
    if (!released && !ran) {
      std::fprintf(stderr, "emulated CUDA: threads of a block wait for each other at different barriers\n");
      std::abort();
    }
  }
}

template <class T> T exchange(T value, unsigned from) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  const unsigned own = current, warp = own / warpSize * warpSize;
  std::memcpy(&slots[own], &value, sizeof value);
  wait(State::waits_for_warp);
  if (warp + from < linear(blockDim)) std::memcpy(&value, &slots[warp + from], sizeof value);
  wait(State::waits_for_warp);
  return value;
}

} // namespace emulated

inline void __syncwarp() { emulated::wait(emulated::State::waits_for_warp); }
inline void __syncthreads() { emulated::wait(emulated::State::waits_for_block); }
template <class T> T __shfl_sync(unsigned, T value, int from) {
  return emulated::exchange(value, static_cast<unsigned>(from) % warpSize);
}
template <class T> T __shfl_xor_sync(unsigned, T value, int bits) {
  return emulated::exchange(value, emulated::current % warpSize ^ static_cast<unsigned>(bits));
}

/// The threads of a block take turns where they wait, and nowhere else: what one does here, no other comes between.
inline double atomicAdd(double* address, double value) {
  const double before = *address;
  *address += value;
  return before;
}

inline void sincospi(double x, double* sine, double* cosine) {
  const double turn = 3.14159265358979323846 * std::remainder(x, 2.0);
  *sine = std::sin(turn);
  *cosine = std::cos(turn);
}

// The runtime ---------------------------------------------------------------------------------------------------------

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35
};
inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess                 ? "no error"
         : error == cudaErrorInvalidValue     ? "invalid argument"
         : error == cudaErrorMemoryAllocation ? "out of memory"
                                              : "no device";
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }

namespace emulated {

/// What was asked of a stream, and how much of it is done.
struct Stream {
  std::vector<std::function<void()>> asked;
  std::size_t done = 0;

  void go_on(std::size_t end) {
    for (; done < end; ++done) asked[done]();
  }
};

} // namespace emulated

using cudaStream_t = emulated::Stream*;
inline cudaStream_t const cudaStreamPerThread = nullptr;
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream != nullptr) stream->go_on(stream->asked.size());
  return cudaSuccess;
}
inline constexpr unsigned cudaStreamNonBlocking = 1;
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new emulated::Stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

namespace emulated {

// What the threads of a block share beside what a kernel declares: full of NaN, at a multiple of 1024, and more than
// `granted_shared` only for kernels that were allowed it.
inline constexpr std::size_t granted_shared = 48 * 1024, most_shared = 227 * 1024;
alignas(1024) inline unsigned char shared_memory[most_shared];
inline std::map<const void*, std::size_t> allowed_shared; // by a kernel's address

inline std::size_t may_share(const void* function) {
  const std::lock_guard lock(one_launch);
  const auto found = allowed_shared.find(function);
  return found == allowed_shared.end() ? granted_shared : found->second;
}

inline void run_grid(dim3 grid, dim3 block, std::size_t shared, const std::function<void()>& call) {
  const std::lock_guard lock(one_launch);
  kernel = &call;
  gridDim = grid;
  blockDim = block;
  const unsigned count = linear(blockDim);
  while (threads.size() < count) threads.push_back(make_thread());
  if (slots.size() < count) slots.resize(count);
  for (unsigned number = 0; number < linear(gridDim); ++number) {
    blockIdx = {number % gridDim.x, number / gridDim.x % gridDim.y, number / gridDim.x / gridDim.y};
    std::memset(shared_memory, 0xff, shared);
    run_block(number % 2 == 1);
  }
}

/// By a kernel's address: what makes a call of it with copies of the arguments at some places, as a graph has them.
using Bind = std::function<std::function<void()>(void** places)>;
inline std::map<const void*, Bind> loaded;

template <class... Parameters, std::size_t... i>
Bind bind_places(void (*function)(Parameters...), std::index_sequence<i...>) {
  return [function](void** places) {
    std::tuple<Parameters...> copies(*static_cast<Parameters*>(places[i])...);
    return [function, copies] { std::apply(function, copies); };
  };
}

} // namespace emulated

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  if (config->dynamicSmemBytes > emulated::may_share(reinterpret_cast<const void*>(kernel))) {
    return cudaErrorInvalidValue;
  }
  emulated::run_grid(config->gridDim, config->blockDim, config->dynamicSmemBytes, [&] { kernel(arguments...); });
  return cudaSuccess;
}

struct cudaFuncAttributes {
  int maxDynamicSharedSizeBytes, maxThreadsPerBlock;
};
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  *attributes = {static_cast<int>(emulated::may_share(kernel)), 1024};
  return cudaSuccess;
}
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
inline cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int bytes) {
  if (static_cast<std::size_t>(bytes) > emulated::most_shared) return cudaErrorInvalidValue;
  const std::lock_guard lock(emulated::one_launch);
  emulated::allowed_shared[kernel] = static_cast<std::size_t>(bytes);
  return cudaSuccess;
}

// Graphs: kernels in a row. A copy of a graph is made where it would be instantiated.

template <class... Parameters>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, void (*kernel)(Parameters...)) {
  const auto* function = reinterpret_cast<const void*>(kernel);
  emulated::loaded[function] = emulated::bind_places(kernel, std::index_sequence_for<Parameters...>{});
  return cudaFuncGetAttributes(attributes, function);
}

struct cudaKernelNodeParams {
  void* func;
  dim3 gridDim, blockDim;
  unsigned sharedMemBytes;
  void** kernelParams;
  void** extra;
};

namespace emulated {

struct Node {
  dim3 grid, block;
  std::size_t shared;
  std::function<void()> call;

  explicit Node(const cudaKernelNodeParams& params)
      : grid(params.gridDim), block(params.blockDim), shared(params.sharedMemBytes),
        call(loaded.at(params.func)(params.kernelParams)) {}
};
struct Graph {
  std::vector<Node> nodes;
};

} // namespace emulated

using cudaGraph_t = emulated::Graph*;
using cudaGraphExec_t = emulated::Graph*;
using cudaGraphNode_t = const char*; // null and its number
inline cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned) {
  *graph = new emulated::Graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t*, std::size_t,
                                          const cudaKernelNodeParams* params) {
  if (params->sharedMemBytes > emulated::may_share(params->func)) return cudaErrorInvalidValue;
  *node = static_cast<const char*>(nullptr) + graph->nodes.size();
  graph->nodes.emplace_back(*params);
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new emulated::Graph(*graph);
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t executable, cudaGraphNode_t node,
                                                    const cudaKernelNodeParams* params) {
  if (params->sharedMemBytes > emulated::may_share(params->func)) return cudaErrorInvalidValue;
  executable->nodes.at(static_cast<std::size_t>(node - static_cast<const char*>(nullptr))) = emulated::Node(*params);
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
  for (const emulated::Node& node : executable->nodes) {
    emulated::run_grid(node.grid, node.block, node.shared, node.call);
  }
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

namespace emulated {

/// A moment, and what of a stream was asked for before it.
struct Event {
  std::chrono::steady_clock::time_point time{};
  Stream* stream = nullptr;
  std::size_t asked = 0;
};

} // namespace emulated

using cudaEvent_t = emulated::Event*;
inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new emulated::Event;
  return cudaSuccess;
}
inline constexpr unsigned cudaEventDisableTiming = 2;
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  *event = {std::chrono::steady_clock::now(), stream, stream != nullptr ? stream->asked.size() : 0};
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream != nullptr) event->stream->go_on(event->asked);
  return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return stream == nullptr ? cudaEventSynchronize(event) : cudaSuccess; // all else is done already
}
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}

inline constexpr std::size_t memory_bytes = std::size_t{1} << 34;

inline cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  if (bytes > memory_bytes) return cudaErrorMemoryAllocation;
  *pointer = std::malloc(std::max<std::size_t>(bytes, 1));
  if (*pointer == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*pointer, 0xff, bytes); // NaN
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* pointer) {
  std::free(pointer);
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) { return cudaMalloc(pointer, bytes); }
inline cudaError_t cudaFreeHost(void* pointer) { return cudaFree(pointer); }
inline cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t) {
  std::memset(at, value, bytes);
  return cudaSuccess;
}
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  auto copy = [=] {
    if (bytes > 0) std::memcpy(to, from, bytes);
  };
  if (stream == nullptr) {
    copy();
  } else {
    stream->asked.emplace_back(copy);
  }
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = memory_bytes;
  return cudaSuccess;
}

// All memory counts as the GPU's.
enum cudaMemoryType { cudaMemoryTypeDevice = 2, cudaMemoryTypeManaged = 3 };
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};
inline cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void*) {
  *attributes = {cudaMemoryTypeDevice, 0};
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
};
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated on the host", memory_bytes, 9, 0, 1};
  return cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
