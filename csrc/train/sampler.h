// Sampler: which rows make up each step of an epoch, and their collection into a batch.
//
// A shuffled batch is gathered into buffers of its own, but for sparse rows, of which it has the numbers; an unshuffled
// one is a view of the data. Where the data lie in
// this process and the device does not, the rows of some steps ahead are collected here, in lots, and stream in while
// the device works on the lot before. Augmentation comes last, wherever the rows come from.
#pragma once

#include <memory>

#include "core/buffer.h"
#include "nn/pass.h"
#include "train/augmentation.h"
#include "train/data.h"

namespace chainrule {

/// Steps that a device repeats as one, at most: handing them over costs some 5 us, which so many steps of 10 us and
/// more hide. As many are collected ahead where rows stream in; more would be of no use.
inline constexpr Index most_steps_at_once = 16;

template <class T> class Sampler {
public:
  /// For steps on `device`. `data` lies in its memory, or in that of this process.
  Sampler(Data<T> data, const Device& device, Index batch_size, bool shuffle, bool drop_last, std::uint64_t seed,
          std::vector<Changes> changes = {});

  /// All rows that the batches are made of.
  const Inputs<T>& rows() const { return data_.x; }
  Index steps() const { return steps_; }
  Index batch_size() const { return batch_size_; }
  Index rows_of(Index step) const;

  /// Sets the order of the rows for an epoch, and how they are changed.
  void begin(std::uint64_t epoch);

  /// Makes the batches from `step` on ready, of up to `most` steps; returns of how many. Called by one thread, before
  /// batch().
  Index prepare(Index step, Index most);
  /// The batch of a step that is ready. Called by all threads; ends with a barrier. The batch before is gone.
  Data<T> batch(const Pass<T>&, Index step);
  /// The rows that a member of a team will gather for a step of this epoch; none where there is no such step, and where
  /// they are not gathered from the memory of this process.
  Prefetch prefetch(const Team&, Index step) const;

private:
  /// Where the arrays of a lot lie, one behind the other; those that the data have not are null.
  struct Lot {
    T *x, *values, *weight;
    std::int32_t *labels, *numbers; // numbers: which rows they are, where augmentation asks
    Index bytes;                    // of all
  };
  Lot lot_at(void* place, Index rows) const;
  /// Copies the rows [first, first + rows) of the epoch.
  void collect(Index first, Index rows, const Lot& lot);
  /// The batch of a step as the data have it; ends with a barrier.
  Data<T> collected(const Pass<T>&, Index step);
  /// Which rows those of the epoch are, from `first` on.
  RowNumbers numbers_from(Index first) const;
  /// The view of the rows [first, first + rows) of data that lie as `data` does.
  static Data<T> part_of(const Data<T>& data, Index first, Index rows);

  Data<T> data_;
  const Device& device_;
  Index batch_size_;
  bool shuffles_;
  std::uint64_t seed_;
  Index steps_;
  Augmentation<T> augmentation_;
  std::uint64_t epoch_ = 0;
  ThreadTeam team_;             // that draws the order of an epoch, or collects lots
  Shuffle shuffle_{};           // of the epoch
  Buffer<std::int32_t> order_;  // (N), drawn from it; none where lots are
  Buffer<T> x_;                 // (batch, inputs)
  Buffer<T> values_;            // (batch, K)
  Buffer<std::int32_t> labels_; // (batch)
  Buffer<T> weight_;            // (batch)
  std::unique_ptr<Feed> feed_;  // null where the device has the data
  Index lot_steps_ = 0;         // steps of a lot, at most
  Data<T> lot_;                 // the last one, on the device
  Index lot_first_ = 0;         // its first row in the epoch
  const std::int32_t* lot_numbers_ = nullptr;
};

} // namespace chainrule
