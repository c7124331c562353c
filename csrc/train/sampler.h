// Sampler: which rows make up each step of an epoch, and their collection into a batch.
//
// A shuffled batch is gathered into buffers of its own; an unshuffled one is a view of the data.
#pragma once

#include "core/buffer.h"
#include "nn/pass.h"
#include "train/data.h"

namespace chainrule {

template <class T> class Sampler {
public:
  /// `data` lies in `memory`.
  Sampler(Data<T> data, const Memory& memory, Index batch_size, bool shuffle, bool drop_last, std::uint64_t seed);

  Index steps() const { return steps_; }
  Index batch_size() const { return batch_size_; }
  Index rows_of(Index step) const;

  /// Sets the order of the rows for an epoch.
  void begin(std::uint64_t epoch);

  /// The batch of a step. Called by all threads; ends with a barrier. The batch before is gone.
  Data<T> batch(const Pass<T>&, Index step);

private:
  Data<T> data_;
  const Memory& memory_;
  Index batch_size_;
  bool shuffle_;
  std::uint64_t seed_;
  Index steps_;
  Buffer<std::int32_t> order_;        // (N), in this process; drawn there
  Buffer<std::int32_t> device_order_; // its copy, where the device has another memory
  Buffer<T> x_;                       // (batch, inputs)
  Buffer<T> values_;                  // (batch, K)
  Buffer<std::int32_t> labels_;       // (batch)
  Buffer<T> weight_;                  // (batch)
};

} // namespace chainrule
