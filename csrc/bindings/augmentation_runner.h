// The operations that augment, for bind_kernels.cpp, which has the others.
#pragma once

#include "bindings/table_runner.h"

namespace chainrule::bindings {

template <class T> class AugmentationRunner : public TableRunner<T> {
  using Base = TableRunner<T>;

public:
  using Base::Base;

  Array<T> noise_rows(const py::object& x_in, const py::object& rows_in, double deviation, std::uint64_t seed,
                      std::uint32_t place, std::uint64_t epoch) {
    const Array<T> x = array_of<T>(x_in, "x", {-1, -1});
    const Array<std::int32_t> rows = array_of<std::int32_t>(rows_in, "rows", {x.shape(0)});
    const Stream stream{seed, Purpose::augmentation, place, epoch};
    return this->filled(x, [&](const Team& team, T* y) {
      this->kernels_.noise_rows(team, stream, deviation, {.numbers = this->at(rows)}, this->view(x),
                                dense_view(y, x.shape(0), x.shape(1)));
    });
  }

  Array<T> augment_images(const py::object& x_in, const py::object& rows_in, const ImageChanges& changes,
                          std::uint64_t seed, std::uint32_t place, std::uint64_t epoch) {
    const Array<T> x = array_of<T>(x_in, "x", {-1, changes.size()});
    const Array<std::int32_t> rows = array_of<std::int32_t>(rows_in, "rows", {x.shape(0)});
    const Stream stream{seed, Purpose::augmentation, place, epoch};
    return this->filled(x, [&](const Team& team, T* y) {
      this->kernels_.augment_images(team, changes, stream, {.numbers = this->at(rows)}, this->view(x),
                                    dense_view(y, x.shape(0), x.shape(1)));
    });
  }
};

} // namespace chainrule::bindings
