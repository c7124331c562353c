// Augmentation for Python: its descriptions, and what it does to rows, to be looked at.
#include <pybind11/stl.h>

#include <cmath>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/unlocked.h"
#include "cpu/table.h"
#include "train/augmentation.h"

namespace chainrule::bindings {

namespace {

/// Rows (N, columns), numbered from 0 or as `rows` says, as they are in an epoch: on the CPU, whatever the network's
/// device is.
template <class T>
Array<T> augment(const py::object& x_in, std::vector<Changes> changes, std::uint64_t seed, std::uint64_t epoch,
                 const py::object& rows_in) {
  const Array<T> x = array_of<T>(x_in, "x", {-1, -1});
  const Index count = x.shape(0);
  RowNumbers numbers;
  std::optional<Array<std::int32_t>> rows;
  if (!rows_in.is_none()) {
    rows = array_of<std::int32_t>(rows_in, "rows", {count});
    numbers.numbers = rows->data();
  }
  Array<T> y({count, static_cast<Index>(x.shape(1))});
  const MatrixView<const T> from = view_of(x);
  const MatrixView<T> to = view_of_mutable(y);
  const Unlocked unlocked;
  Augmentation<T> augmentation(std::move(changes), count, from.cols, seed, host_memory);
  auto body = [&](const Team& team) {
    const MatrixView<const T> changed =
        augmentation.apply({team, cpu::device().kernels<T>(), host_memory}, epoch, numbers, from);
    const Range share = team.share(count);
    for (Index i = share.begin; i < share.end; ++i) std::copy_n(changed.row(i), changed.cols, to.row(i));
  };
  // A number takes some ten operations of a picture, and more of noise.
  ThreadTeam(threads_for(10.0 * static_cast<double>(from.size()))).run(body);
  return y;
}

ImageChanges image_changes(Index height, Index width, Index channels, bool flip_horizontal, bool flip_vertical,
                           double max_turns, Index max_shift, double max_zoom, double fill) {
  // So far out a place in float32 is right to 2^-9 of a pixel; places of numbers in a picture are 32-bit integers.
  constexpr Index most = Index{1} << 15;
  for (const Index extent : {height, width, channels}) {
    check(extent >= 1 && extent <= most, "height, width and channels must be 1 to ", most, "; got ", extent);
  }
  check(height * width * channels < Index{1} << 31, "a picture must have fewer than 2^31 numbers");
  check(max_shift >= 0 && max_shift <= most, "max_shift must be 0 to ", most, "; got ", max_shift);
  check(max_turns >= 0 && max_turns <= 0x1p20, "max_turns must be 0 to 2^20; got ", max_turns);
  check(max_zoom >= 0 && max_zoom < 1, "max_zoom must be at least 0 and below 1; got ", max_zoom);
  return {height, width, channels, flip_horizontal, flip_vertical, max_turns, max_shift, max_zoom, fill};
}

} // namespace

void bind_changes(py::module_& module) {
  using py::arg;
  py::class_<ImageChanges>(module, "ImageChanges")
      .def(py::init(&image_changes), arg("height"), arg("width"), arg("channels"), arg("flip_horizontal"),
           arg("flip_vertical"), arg("max_turns"), arg("max_shift"), arg("max_zoom"), arg("fill"))
      .def_readonly("height", &ImageChanges::height)
      .def_readonly("width", &ImageChanges::width)
      .def_readonly("channels", &ImageChanges::channels)
      .def_readonly("flip_horizontal", &ImageChanges::flip_horizontal)
      .def_readonly("flip_vertical", &ImageChanges::flip_vertical)
      .def_readonly("max_turns", &ImageChanges::max_turns)
      .def_readonly("max_shift", &ImageChanges::max_shift)
      .def_readonly("max_zoom", &ImageChanges::max_zoom)
      .def_readonly("fill", &ImageChanges::fill);
  py::class_<NoiseChanges>(module, "NoiseChanges")
      .def(py::init([](double deviation) {
             check(deviation >= 0 && std::isfinite(deviation), "deviation must be finite and at least 0; got ",
                   deviation);
             return NoiseChanges{deviation};
           }),
           arg("deviation"));
}

template <class T> void bind_augmentation(py::module_& module) {
  using py::arg;
  module.def("augment", augment<T>, arg("x"), arg("changes"), arg("seed"), arg("epoch"), arg("rows") = py::none());
}

template void bind_augmentation<float>(py::module_&);
template void bind_augmentation<double>(py::module_&);

} // namespace chainrule::bindings
