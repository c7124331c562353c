// Collecting batches.
#include "train/sampler.h"

#include <algorithm>

namespace chainrule {

namespace {

// Rows that are near anyway: all of them fit a second-level cache (512 KiB and more), beside what a step needs.
constexpr Index near_bytes = 256 * 1024;

constexpr Index round_up(Index bytes) {
  return (bytes + Index{alignment_bytes} - 1) / Index{alignment_bytes} * Index{alignment_bytes};
}

} // namespace

template <class T>
Sampler<T>::Sampler(Data<T> data, const Device& device, Index batch_size, bool shuffle, bool drop_last,
                    std::uint64_t seed, std::vector<Changes> changes)
    : data_(data), device_(device), batch_size_(std::min(batch_size, data.rows())), shuffles_(shuffle), seed_(seed) {
  check(data.rows() >= 1, "the data has no rows");
  check(data.rows() < Index{1} << 31, "the data has more than 2^31 - 1 rows");
  check(batch_size >= 1, "batch_size must be at least 1; got ", batch_size);
  check(!drop_last || batch_size <= data.rows(), "drop_last leaves nothing: ", data.rows(),
        " rows are fewer than a batch of ", batch_size);
  steps_ = drop_last ? data.rows() / batch_size_ : (data.rows() + batch_size_ - 1) / batch_size_;
  const Memory& memory = *device.memory;
  augmentation_ = Augmentation<T>(std::move(changes), batch_size_, data.x.cols(), seed, memory);
  check(!data.x.is_sparse() || augmentation_.empty(), "sparse rows cannot be augmented");
  if (data.memory != &memory) {
    lot_steps_ =
        std::clamp(lot_bytes / (batch_size_ * std::max<Index>(data.row_bytes(), 1)), Index{1}, most_steps_at_once);
    const Index rows = std::min(lot_steps_ * batch_size_, data.rows());
    feed_.reset(device.make_feed(static_cast<std::size_t>(lot_at(nullptr, rows).bytes)));
    team_ = ThreadTeam(threads_for(static_cast<double>(rows * data.row_bytes())));
    return;
  }
  if (!shuffles_) return;
  // A row takes some 8 ns, a hundred operations or more.
  if (device.is_host()) team_ = ThreadTeam(threads_for(100.0 * static_cast<double>(data.rows())));
  order_ = Buffer<std::int32_t>(data.rows(), Contents::undefined, memory);
  x_ = Buffer<T>(batch_size_ * data.x.dense.cols, Contents::undefined, memory);
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
  epoch_ = epoch;
  if (!shuffles_) return;
  shuffle_ = shuffle_of(seed_, epoch, data_.rows());
  if (feed_ != nullptr) return; // lots ask it row by row
  auto body = [&](const Team& team) { device_.template kernels<T>().shuffled_order(team, shuffle_, order_.data()); };
  team_.run(body);
}

// Data that stream in -------------------------------------------------------------------------------------------------

template <class T> typename Sampler<T>::Lot Sampler<T>::lot_at(void* place, Index rows) const {
  Index end = 0;
  auto next = [&]<class Number>(Number*& array, Index numbers) {
    array =
        numbers == 0 || place == nullptr ? nullptr : reinterpret_cast<Number*>(static_cast<std::byte*>(place) + end);
    end += round_up(numbers * static_cast<Index>(sizeof(Number)));
  };
  Lot lot{};
  next(lot.x, rows * data_.x.dense.cols);
  next(lot.values, rows * data_.targets.values.cols);
  next(lot.weight, data_.weight != nullptr ? rows : 0);
  next(lot.labels, data_.targets.labels != nullptr ? rows : 0);
  next(lot.numbers, shuffles_ && !augmentation_.empty() ? rows : 0);
  lot.bytes = end;
  return lot;
}

template <class T> void Sampler<T>::collect(Index first, Index rows, const Lot& lot) {
  auto copy_row = [](const T* from, T* to, Index numbers) { std::copy(from, from + numbers, to); };
  auto body = [&](const Team& team) {
    const Range share = team.share(rows);
    for (Index i = share.begin; i < share.end; ++i) {
      const Index row = shuffles_ ? Index{shuffle_(static_cast<std::uint32_t>(first + i))} : first + i;
      const auto &x = data_.x.dense, &values = data_.targets.values;
      copy_row(x.row(row), lot.x + i * x.cols, x.cols);
      if (lot.values != nullptr) copy_row(values.row(row), lot.values + i * values.cols, values.cols);
      if (lot.weight != nullptr) lot.weight[i] = data_.weight[row];
      if (lot.labels != nullptr) lot.labels[i] = data_.targets.labels[row];
      if (lot.numbers != nullptr) lot.numbers[i] = static_cast<std::int32_t>(row);
    }
  };
  team_.run(body);
}

template <class T> Index Sampler<T>::prepare(Index step, Index most) {
  if (feed_ == nullptr) return most;
  const Index steps = std::min(most, lot_steps_), first = step * batch_size_;
  const Index rows = std::min(steps * batch_size_, data_.rows() - first);
  const Lot here = lot_at(feed_->room(), rows);
  collect(first, rows, here);
  const Lot there = lot_at(feed_->send(static_cast<std::size_t>(here.bytes)), rows);
  lot_ = {
      .x = dense_view<const T>(there.x, rows, data_.x.dense.cols),
      .targets = {.labels = there.labels, .values = dense_view<const T>(there.values, rows, data_.targets.values.cols)},
      .weight = there.weight,
      .memory = device_.memory};
  lot_first_ = first;
  lot_numbers_ = there.numbers;
  return steps;
}

// Batches -------------------------------------------------------------------------------------------------------------

template <class T> Data<T> Sampler<T>::part_of(const Data<T>& data, Index first, Index rows) {
  Data<T> part{.x = data.x.part(first, rows), .memory = data.memory};
  if (data.targets.labels != nullptr) {
    part.targets.labels = data.targets.labels + first;
  } else {
    const auto& values = data.targets.values;
    part.targets.values = {values.row(first), rows, values.cols, values.stride};
  }
  if (data.weight != nullptr) part.weight = data.weight + first;
  return part;
}

template <class T> RowNumbers Sampler<T>::numbers_from(Index first) const {
  if (!shuffles_) return {.first = first};
  return {.numbers = feed_ != nullptr ? lot_numbers_ + (first - lot_first_) : order_.data() + first};
}

template <class T> Data<T> Sampler<T>::batch(const Pass<T>& pass, Index step) {
  Data<T> batch = collected(pass, step);
  if (!augmentation_.empty()) {
    batch.x = augmentation_.apply(pass, epoch_, numbers_from(step * batch_size_), batch.x.dense);
  }
  return batch;
}

template <class T> Prefetch Sampler<T>::prefetch(const Team& team, Index step) const {
  const auto& x = data_.x.dense;
  if (order_.size() == 0 || !device_.is_host() || data_.x.is_sparse() || step >= steps_) return {};
  constexpr auto size = static_cast<Index>(sizeof(T));
  if (x.rows * x.cols * size <= near_bytes) return {};
  const Range share = team.share(rows_of(step)); // as kernels.gather_rows cuts it
  return {x.data, x.stride * size, x.cols * size, order_.data() + step * batch_size_ + share.begin, share.size()};
}

template <class T> Data<T> Sampler<T>::collected(const Pass<T>& pass, Index step) {
  const Index first = step * batch_size_, rows = rows_of(step);
  if (feed_ != nullptr) return part_of(lot_, first - lot_first_, rows); // its team is one
  if (!shuffles_) {
    const Data<T> batch = part_of(data_, first, rows);
    pass.team.barrier();
    return batch;
  }

  const std::int32_t* order = order_.data() + first;
  const Kernels<T>& kernels = pass.kernels;
  Data<T> batch{.memory = device_.memory};
  if (data_.x.is_sparse()) {
    batch.x = data_.x.sparse.chosen({.numbers = order}, rows); // where they lie
  } else {
    const MatrixView<T> x = dense_view(x_.data(), rows, data_.x.dense.cols);
    kernels.gather_rows(pass.team, data_.x.dense, order, x);
    batch.x = x;
  }
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
