// Augmentation: the rows of a batch changed at random before the network sees them, in another way each epoch. What
// happens to a row depends on the seed, the epoch and the row's number in the data, and on nothing else: neither on
// batches nor on threads. Nothing is measured on changed rows, and the data themselves stay as they are.
#pragma once

#include <variant>
#include <vector>

#include "core/buffer.h"
#include "nn/pass.h"

namespace chainrule {

/// x + deviation * N(0, 1).
struct NoiseChanges {
  double deviation;
};

/// One kind of change; several come one after the other.
using Changes = std::variant<ImageChanges, NoiseChanges>;

template <class T> class Augmentation {
public:
  Augmentation() = default;
  /// For batches of up to `rows` rows. Throws where the changes are those of pictures of another size.
  Augmentation(std::vector<Changes> changes, Index rows, Index columns, std::uint64_t seed, const Memory& memory);

  bool empty() const { return changes_.empty(); }
  /// The rows x (B, columns) changed, as they are in an epoch; x where there are no changes. Called by all threads
  /// after a barrier; ends with one. What it gave before is gone.
  MatrixView<const T> apply(const Pass<T>&, std::uint64_t epoch, RowNumbers, MatrixView<const T> x);

private:
  std::vector<Changes> changes_;
  std::uint64_t seed_ = 0;
  Buffer<T> rooms_[2]; // (rows, columns); the second only where pictures are not the first change
};

} // namespace chainrule
