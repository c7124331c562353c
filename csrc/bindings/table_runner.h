// TableRunner: one table with a team to run it, and how its operations get their arrays: from NumPy, or, for the GPU's,
// by copies there. It knows no operation.
#pragma once

#include <algorithm>
#include <limits>
#include <mutex>
#include <string>

#include "bindings/arrays.h"
#include "bindings/copies.h"
#include "bindings/gpu.h"
#include "bindings/unlocked.h"
#include "cpu/table.h"

namespace chainrule::bindings {

/// The table of an instruction set, or of the GPU (bindings/gpu.h).
template <class T> class TableRunner {
public:
  TableRunner(const std::string& isa, int threads)
      : device_(device_named(isa)), kernels_(device_.template kernels<T>()), on_gpu_(!device_.is_host()),
        team_(on_gpu_ ? 1 : checked(threads)) {}

  std::string isa() const { return device_.name; }

protected:
  template <class Body> void run(Body body) {
    const Unlocked unlocked;
    const std::lock_guard lock(mutex_); // the team's scratch and the copies serve one call at a time
    if (!on_gpu_) return team_.run(body);
    Copies copies(*device_.memory);
    copies_ = &copies;
    team_.run(body);
    copies.give_back();
  }

  // Where the device finds an array, while an operation runs: here, or in a copy on the GPU.
  template <class X> const X* at(const X* here, Index n) const { return on_gpu_ ? copies_->of(here, n) : here; }
  template <class X> X* at(X* here, Index n) const { return on_gpu_ ? copies_->of(here, n) : here; }
  template <class X> const X* at(const Array<X>& array) const { return at(array.data(), array.size()); }
  template <class X> X* at(Array<X>& array) const { return at(array.mutable_data(), array.size()); }
  template <class X> const X* at(const Buffer<X>& buffer) const { return at(buffer.data(), buffer.size()); }
  template <class X> X* at(Buffer<X>& buffer) const { return at(buffer.data(), buffer.size()); }
  Targets<T> at(const TargetArrays<T>& y) const {
    if (y.has_labels) return {.labels = at(y.labels), .values = {}};
    return {.labels = nullptr, .values = view(y.values)};
  }
  MatrixView<const T> view(const Array<T>& array) const {
    return dense_view(at(array), array.shape(0), array.shape(1));
  }
  MatrixView<T> view(Array<T>& array) const { return dense_view(at(array), array.shape(0), array.shape(1)); }

  static Shape shape_of(const py::array& array) { return {array.shape(), array.shape() + array.ndim()}; }

  /// A new array: a copy of `start`, or, for None, one filled with NaN, so that an element that nobody wrote shows.
  static Array<T> result(const py::object& start, const char* name, const Shape& shape) {
    Array<T> array(shape);
    if (start.is_none()) {
      std::fill_n(array.mutable_data(), array.size(), std::numeric_limits<T>::quiet_NaN());
    } else {
      const Array<T> from = array_of<T>(start, name, shape);
      std::copy_n(from.data(), from.size(), array.mutable_data());
    }
    return array;
  }

  template <class Body> Array<T> filled(const Array<T>& like, Body body) {
    Array<T> array = result(py::none(), "", shape_of(like));
    run([&](const Team& team) { body(team, at(array)); });
    return array;
  }

  const Device& device_;
  const Kernels<T>& kernels_;
  bool on_gpu_;
  ThreadTeam team_;

private:
  static int checked(int threads) {
    check(threads >= 1 && threads <= 1024, "threads must be 1 to 1024; got ", threads);
    return threads;
  }

  static const Device& device_named(const std::string& isa) {
    if (const Device* gpu = gpu_named<T>(isa)) return *gpu;
    return isa.empty() ? cpu::device() : cpu::device(isa);
  }

  std::mutex mutex_;
  Copies* copies_ = nullptr; // of the call that runs, on a GPU
};

} // namespace chainrule::bindings
