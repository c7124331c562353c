// How long the GPU takes, by its own clock. For benchmarks: no operation asks for the time.
#include "cuda/launch.h"
#include "cuda_table.h"

namespace chainrule::cuda {

namespace {

/// A moment of the stream: when all that was queued before it is done.
class Moment {
public:
  Moment() { require(cudaEventCreate(&event_), "making an event"); }
  Moment(const Moment&) = delete;
  Moment& operator=(const Moment&) = delete;
  ~Moment() { static_cast<void>(cudaEventDestroy(event_)); }

  void mark() { require(cudaEventRecord(event_, stream()), "recording an event"); }

  /// Waits for this moment.
  double seconds_since(const Moment& earlier) const {
    require(cudaEventSynchronize(event_), "what was timed on the GPU");
    float milliseconds = 0;
    require(cudaEventElapsedTime(&milliseconds, earlier.event_, event_), "reading the GPU's clock");
    return static_cast<double>(milliseconds) * 1e-3;
  }

private:
  cudaEvent_t event_{};
};

} // namespace

double seconds_of(const std::function<void()>& work) {
  Moment begin, end;
  begin.mark();
  work();
  end.mark();
  return end.seconds_since(begin);
}

} // namespace chainrule::cuda
