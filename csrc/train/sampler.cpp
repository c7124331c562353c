// Collecting batches.
#include "train/sampler.h"

#include <algorithm>

namespace chainrule {

template <class T>
Sampler<T>::Sampler(Data<T> data, const Memory& memory, Index batch_size, bool shuffle, bool drop_last,
                    std::uint64_t seed)
    : data_(data), memory_(memory), batch_size_(std::min(batch_size, data.rows())), shuffle_(shuffle), seed_(seed) {
  check(data.rows() >= 1, "the data has no rows");
  check(data.rows() < Index{1} << 31, "the data has more than 2^31 - 1 rows");
  check(batch_size >= 1, "batch_size must be at least 1; got ", batch_size);
  check(!drop_last || batch_size <= data.rows(), "drop_last leaves nothing: ", data.rows(),
        " rows are fewer than a batch of ", batch_size);
  steps_ = drop_last ? data.rows() / batch_size_ : (data.rows() + batch_size_ - 1) / batch_size_;
  if (!shuffle_) return;
  order_ = Buffer<std::int32_t>(data.rows());
  if (&memory != &host_memory) {
    device_order_ = Buffer<std::int32_t>(data.rows(), Contents::undefined, memory);
  }
  x_ = Buffer<T>(batch_size_ * data.x.cols, Contents::undefined, memory);
  if (data.targets.labels != nullptr) {
    labels_ = Buffer<std::int32_t>(batch_size_, Contents::undefined, memory);
  } else {
    values_ = Buffer<T>(batch_size_ * data.targets.values.cols, Contents::undefined, memory);
  }
  if (data.weight != nullptr) weight_ = Buffer<T>(batch_size_, Contents::undefined, memory);
}

template <class T> Index Sampler<T>::rows_of(Index step) const {
  return std::min(batch_size_, data_.rows() - step * batch_size_);
}

template <class T> void Sampler<T>::begin(std::uint64_t epoch) {
  if (!shuffle_) return;
  shuffled_order(seed_, epoch, data_.rows(), order_.data());
  copy_in(memory_, device_order_.data(), order_.data(), device_order_.size());
}

template <class T> Data<T> Sampler<T>::batch(const Pass<T>& pass, Index step) {
  const Index first = step * batch_size_, rows = rows_of(step);
  Data<T> batch;
  if (!shuffle_) {
    batch.x = {data_.x.row(first), rows, data_.x.cols, data_.x.stride};
    if (data_.targets.labels != nullptr) {
      batch.targets.labels = data_.targets.labels + first;
    } else {
      const auto& values = data_.targets.values;
      batch.targets.values = {values.row(first), rows, values.cols, values.stride};
    }
    if (data_.weight != nullptr) batch.weight = data_.weight + first;
    pass.team.barrier();
    return batch;
  }

  const std::int32_t* order = (device_order_.size() > 0 ? device_order_ : order_).data() + first;
  const Kernels<T>& kernels = pass.kernels;
  const MatrixView<T> x = dense_view(x_.data(), rows, data_.x.cols);
  kernels.gather_rows(pass.team, data_.x, order, x);
  batch.x = x;
  if (data_.targets.labels != nullptr) {
    kernels.gather_labels(pass.team, data_.targets.labels, order, labels_.data(), rows);
    batch.targets.labels = labels_.data();
  } else {
    const MatrixView<T> values = dense_view(values_.data(), rows, data_.targets.values.cols);
    kernels.gather_rows(pass.team, data_.targets.values, order, values);
    batch.targets.values = values;
  }
  if (data_.weight != nullptr) {
    kernels.gather_rows(pass.team, dense_view(data_.weight, data_.rows(), 1), order,
                        dense_view(weight_.data(), rows, 1));
    batch.weight = weight_.data();
  }
  pass.team.barrier();
  return batch;
}

template class Sampler<float>;
template class Sampler<double>;

} // namespace chainrule
