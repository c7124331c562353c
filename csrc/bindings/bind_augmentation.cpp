// Augmentation for Python: its descriptions.
#include "bindings/bind.h"
#include "core/check.h"
#include "formulas/images.h"

namespace chainrule::bindings {

namespace {

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
}

} // namespace chainrule::bindings
