// Data: the rows that an epoch walks, as views of what the caller holds, or of copies on the device. Data for which the
// device has no room stay with the caller, and stream in as they are used (sampler.h).
#pragma once

#include "core/buffer.h"
#include "train/inputs.h"

namespace chainrule {

template <class T> struct Data {
  Inputs<T> x{};                       // (N, inputs)
  Targets<T> targets{};                // labels (N), or values (N, K)
  const T* weight = nullptr;           // (N), or null for 1
  const Memory* memory = &host_memory; // where all of it lies

  Index rows() const { return x.rows(); }
  /// Bytes of a row, and of all; of sparse rows, which nobody copies, without those of x.
  Index row_bytes() const {
    const Index numbers = x.dense.cols + targets.values.cols + (weight != nullptr ? 1 : 0);
    return numbers * static_cast<Index>(sizeof(T)) +
           (targets.labels != nullptr ? static_cast<Index>(sizeof(std::int32_t)) : 0);
  }
  Index bytes() const { return rows() * row_bytes(); }
};

/// Data that stream in come in lots of so many bytes, two of which lie on the device. So long a lot takes 1 to 3 ms on
/// its way, beside some 10 us that sending one costs.
inline constexpr Index lot_bytes = Index{1} << 26;
/// Data of so few bytes would need no less of a device's memory if they streamed in.
inline constexpr Index always_resident = 2 * lot_bytes;

/// Bytes of data of a fit or an evaluation that a device's own memory may hold, whatever is free there: for tests, and
/// where others need it too. At first there is no limit.
Index resident_limit();
void set_resident_limit(Index bytes);

/// Data in the memory of a device: a view of that of this process where it is the same, else copies of all but of an x
/// that lies there already.
template <class T> class ResidentData {
public:
  ResidentData(const Data<T>& data, const Memory& memory, bool has_x = false) : data_(data) {
    data_.memory = &memory;
    if (&memory == &host_memory) return;
    if (!has_x) x_ = copy(data.x.dense, memory, data_.x.dense);
    if (data.targets.labels != nullptr) {
      labels_ = Buffer<std::int32_t>(data.targets.labels, data.rows(), memory);
      data_.targets.labels = labels_.data();
    } else {
      values_ = copy(data.targets.values, memory, data_.targets.values);
    }
    if (data.weight != nullptr) {
      weight_ = Buffer<T>(data.weight, data.rows(), memory);
      data_.weight = weight_.data();
    }
  }

  const Data<T>& data() const { return data_; }

private:
  /// A copy of a matrix without gaps between its rows, and the view of it.
  static Buffer<T> copy(const MatrixView<const T>& from, const Memory& memory, MatrixView<const T>& view) {
    Buffer<T> copied(from.data, from.size(), memory);
    view.data = copied.data();
    return copied;
  }

  Data<T> data_;
  Buffer<T> x_, values_, weight_;
  Buffer<std::int32_t> labels_;
};

} // namespace chainrule
