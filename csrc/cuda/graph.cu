// Graphs: many kernels, one after the other, that the GPU is handed as one. It then goes from each to the next by
// itself, in some 1.3 us, where a launch of its own costs the host 2 us or more.
//
// The host walks the same code every time. The first time all launches are noted and a graph is made of them; from then
// on each launch is held against the one noted in its place, and only where kernel, grid or arguments differ (the rows
// of a batch, the stream of a mask, the numbers of an update) is the graph told so. Where there are more launches than
// before, or fewer, or of other kernels, another graph is made.
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "cuda/operations.h"
#include "cuda/owned.h"

namespace chainrule::cuda {
namespace {

/// A launch, with a copy of its arguments.
class Call {
public:
  explicit Call(const Request& request) { become(request); }

  bool is(const Request& request) const {
    if (request.kernel != kernel() || request.blocks != params_.gridDim.x || request.threads != params_.blockDim.x ||
        request.shared_bytes != params_.sharedMemBytes) {
      return false;
    }
    for (std::size_t i = 0; i < request.count; ++i) { // as many: it is the same kernel
      if (std::memcmp(places_[i], request.arguments[i], request.sizes[i]) != 0) return false;
    }
    return true;
  }

  void become(const Request& request) {
    if (request.kernel != kernel() || request.shared_bytes != params_.sharedMemBytes) {
      require(allow_shared(request.kernel, request.shared_bytes), request.operation);
    }
    if (request.kernel != kernel()) {
      require(request.load(request.kernel), request.operation);
      operation_ = request.operation;
      params_.func = const_cast<void*>(request.kernel);
      lay_out(request);
    }
    params_.gridDim = dim3(request.blocks);
    params_.blockDim = dim3(request.threads);
    params_.sharedMemBytes = request.shared_bytes;
    for (std::size_t i = 0; i < request.count; ++i) std::memcpy(places_[i], request.arguments[i], request.sizes[i]);
  }

  const char* operation() const { return operation_; }
  const void* kernel() const { return params_.func; }
  const cudaKernelNodeParams& params() const { return params_; }

private:
  /// Makes places for the arguments, each on a boundary that suits any type.
  void lay_out(const Request& request) {
    constexpr std::size_t boundary = alignof(std::max_align_t);
    std::size_t total = 0;
    std::vector<std::size_t> offsets;
    for (std::size_t i = 0; i < request.count; ++i) {
      offsets.push_back(total);
      total += (request.sizes[i] + boundary - 1) / boundary * boundary;
    }
    bytes_ = std::make_unique<std::byte[]>(total);
    places_.clear();
    for (const std::size_t offset : offsets) places_.push_back(bytes_.get() + offset);
    params_.kernelParams = places_.data();
  }

  const char* operation_ = "";
  cudaKernelNodeParams params_{};
  std::unique_ptr<std::byte[]> bytes_;
  std::vector<void*> places_;
};

class Graph final : public Replay, Recording {
public:
  Graph() {
    for (Event& event : done_) event = make_event();
  }

  void run(const std::function<void()>& work) override {
    at_ = 0;
    {
      const Here here(this);
      work();
    }
    if (stale_ || at_ < calls_.size()) {
      calls_.erase(calls_.begin() + static_cast<std::ptrdiff_t>(at_), calls_.end());
      make();
    }
    // Two of them take turns.
    cudaEvent_t done = done_[launches_++ % done_.size()].get();
    require(cudaEventSynchronize(done), "a step on the GPU");
    require(cudaGraphLaunch(executable_.get(), stream()), "launching a graph");
    require(cudaEventRecord(done, stream()), "launching a graph");
  }

private:
  /// While it lives, launches of this thread go to a graph.
  struct Here {
    explicit Here(Graph* graph) { recording = graph; }
    ~Here() { recording = nullptr; }
    Here(const Here&) = delete;
    Here& operator=(const Here&) = delete;
  };

  void take(const Request& request) override {
    if (at_ == calls_.size()) {
      calls_.emplace_back(request);
      stale_ = true;
    } else if (!calls_[at_].is(request)) {
      Call& call = calls_[at_];
      // Another kernel is rare: no need to ask which may take another's place.
      const bool only_tell = !stale_ && call.kernel() == request.kernel;
      stale_ = true; // should what follows throw
      call.become(request);
      if (only_tell) {
        require(cudaGraphExecKernelNodeSetParams(executable_.get(), nodes_[at_], &call.params()), call.operation());
        stale_ = false;
      }
    }
    ++at_;
  }

  /// The graph of all calls, each after the one before.
  void make() {
    finish(); // the graph before this one is no longer under way
    nodes_.clear();
    executable_.reset();
    cudaGraph_t made = nullptr;
    require(cudaGraphCreate(&made, 0), "making a graph");
    graph_.reset(made);
    for (const Call& call : calls_) {
      cudaGraphNode_t node = nullptr;
      const cudaGraphNode_t* before = nodes_.empty() ? nullptr : &nodes_.back();
      require(cudaGraphAddKernelNode(&node, made, before, nodes_.empty() ? 0 : 1, &call.params()), call.operation());
      nodes_.push_back(node);
    }
    cudaGraphExec_t executable = nullptr;
    require(cudaGraphInstantiate(&executable, made, 0), "making a graph");
    executable_.reset(executable);
    stale_ = false;
  }

  std::vector<Call> calls_;
  std::vector<cudaGraphNode_t> nodes_; // of the calls
  bool stale_ = true;                  // whether another graph has to be made
  std::size_t at_ = 0;                 // the call to come
  Owned<cudaGraph_t, cudaGraphDestroy> graph_;
  Owned<cudaGraphExec_t, cudaGraphExecDestroy> executable_;
  std::array<Event, 2> done_;
  std::size_t launches_ = 0;
};

} // namespace

Replay* make_replay() { return new Graph; }

} // namespace chainrule::cuda
