// Feed on the GPU: two places of pinned memory and two of the GPU's take turns, and a stream of its own copies.
//
//   host          fill 0 | send 0 | fill 1       | send 1 | fill 0 ...
//   copies                 0 ----->                1 ------>
//   calculations                   steps on 0 ------------> steps on 1 ---->
//
// An event keeps each arrow's end before what follows from it: a place is filled again when it was copied, and copied
// to again when the steps on it are done. The host waits for the first alone.
#include <array>

#include "core/feed.h"
#include "cuda/operations.h"
#include "cuda/owned.h"
#include "cuda_table.h"

namespace chainrule::cuda {
namespace {

class CopiesAhead final : public Feed {
public:
  explicit CopiesAhead(std::size_t bytes) {
    cudaStream_t made = nullptr;
    require(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "making a stream");
    copies_.reset(made);
    for (Place& place : places_) {
      void* pinned = nullptr;
      const cudaError_t status = cudaMallocHost(&pinned, bytes);
      if (status == cudaErrorMemoryAllocation) {
        static_cast<void>(cudaGetLastError()); // told here, not again by the next launch
        throw OutOfMemory(text("the GPU's driver could not pin ", bytes, " bytes of the host's memory"));
      }
      require(status, "allocating pinned memory");
      place.here.reset(pinned);
      place.there = Buffer<std::byte>(static_cast<Index>(bytes), Contents::undefined, memory);
    }
  }
  CopiesAhead(const CopiesAhead&) = delete;
  CopiesAhead& operator=(const CopiesAhead&) = delete;
  ~CopiesAhead() override { static_cast<void>(cudaStreamSynchronize(copies_.get())); }

  void* room() override {
    require(cudaEventSynchronize(next().copied.get()), "a copy to the GPU");
    return next().here.get();
  }

  void* send(std::size_t bytes) override {
    Place& place = next();
    ++lots_;
    // The other place's steps have all been asked for.
    require(cudaEventRecord(next().used.get(), stream()), "a copy to the GPU");
    require(cudaStreamWaitEvent(copies_.get(), place.used.get(), 0), "a copy to the GPU");
    require(cudaMemcpyAsync(place.there.data(), place.here.get(), bytes, cudaMemcpyHostToDevice, copies_.get()),
            "a copy to the GPU");
    require(cudaEventRecord(place.copied.get(), copies_.get()), "a copy to the GPU");
    require(cudaStreamWaitEvent(stream(), place.copied.get(), 0), "a copy to the GPU");
    return place.there.data();
  }

private:
  struct Place {
    Owned<void*, cudaFreeHost> here; // pinned: else the copy would wait for the host, and the host for the copy
    Buffer<std::byte> there;
    Event copied = make_event(), used = make_event();
  };

  Place& next() { return places_[lots_ % places_.size()]; }

  Owned<cudaStream_t, cudaStreamDestroy> copies_;
  std::array<Place, 2> places_;
  std::size_t lots_ = 0;
};

} // namespace

Feed* make_feed(std::size_t bytes) { return new CopiesAhead(bytes); }

} // namespace chainrule::cuda
