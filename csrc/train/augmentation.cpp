// Changing the rows of a batch.
#include "train/augmentation.h"

#include <algorithm>

#include "core/check.h"

namespace chainrule {

template <class T>
Augmentation<T>::Augmentation(std::vector<Changes> changes, Index rows, Index columns, std::uint64_t seed,
                              const Memory& memory)
    : changes_(std::move(changes)), seed_(seed) {
  const auto are_images = [](const Changes& one) { return std::holds_alternative<ImageChanges>(one); };
  for (const Changes& one : changes_) {
    if (!are_images(one)) continue;
    const auto& images = std::get<ImageChanges>(one);
    check(images.size() == columns, "pictures of ", images.height, " x ", images.width, " pixels and ", images.channels,
          " channels have ", images.size(), " numbers; rows have ", columns);
  }
  if (changes_.empty()) return;
  rooms_[0] = Buffer<T>(rows * columns, Contents::undefined, memory);
  if (std::any_of(changes_.begin() + 1, changes_.end(), are_images)) {
    rooms_[1] = Buffer<T>(rows * columns, Contents::undefined, memory);
  }
}

/// Noise may be added in place, but not to the rows that were given; a changed picture needs another place.
template <class T>
MatrixView<const T> Augmentation<T>::apply(const Pass<T>& pass, std::uint64_t epoch, RowNumbers numbers,
                                           MatrixView<const T> x) {
  int room = 0;
  std::uint32_t place = 0; // among the changes: each has random numbers of its own
  for (const Changes& one : changes_) {
    const Stream stream{seed_, Purpose::augmentation, place, epoch};
    const auto* images = std::get_if<ImageChanges>(&one);
    if (images != nullptr && place > 0) room = 1 - room;
    const MatrixView<T> y = dense_view(rooms_[room].data(), x.rows, x.cols);
    if (images != nullptr) {
      pass.kernels.augment_images(pass.team, *images, stream, numbers, x, y);
    } else {
      pass.kernels.noise_rows(pass.team, stream, std::get<NoiseChanges>(one).deviation, numbers, x, y);
    }
    x = y;
    pass.team.barrier();
    ++place;
  }
  return x;
}

template class Augmentation<float>;
template class Augmentation<double>;

} // namespace chainrule
