// DeviceArray: an array in the GPU's memory, for other libraries' use and taken from them, without a copy.
//
//   __cuda_array_interface__, version 3    Numba, "CUDA Array Interface"; CuPy and PyTorch read and offer it too
//   DLPack                                 dmlc/dlpack, dlpack.h: DLManagedTensor, the form before version 1
//
// Rows without gaps, numbers of the engine's two precisions. It computes nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "bindings/arrays.h"
#include "core/buffer.h"

namespace chainrule::bindings {

enum class DeviceNumber { float32, float64 };
template <class T>
constexpr DeviceNumber device_number = sizeof(T) == 4 ? DeviceNumber::float32 : DeviceNumber::float64;

class DeviceArray {
public:
  /// Memory that `owner` keeps alive.
  DeviceArray(py::object owner, void* data, Shape shape, DeviceNumber number, bool writable)
      : owner_(std::move(owner)), data_(data), shape_(std::move(shape)), number_(number), writable_(writable) {}

  /// What the interface of another library's object says, checked.
  static DeviceArray from_interface(const py::object& object);
  /// The tensor of a capsule of DLPack, which is then used up.
  static DeviceArray from_dlpack(const py::capsule& capsule);
  /// New memory on the GPU, undefined.
  static DeviceArray made(Shape shape, DeviceNumber number);

  const Shape& shape() const { return shape_; }
  Index size() const {
    Index product = 1;
    for (const auto extent : shape_) product *= extent;
    return product;
  }
  bool writable() const { return writable_; }
  const char* dtype() const { return number_ == DeviceNumber::float32 ? "float32" : "float64"; }

  /// A copy in the memory of this process.
  py::array numpy() const;
  /// Whether all numbers are finite, and none so large that the sum of all is not.
  bool all_finite() const;
  /// The first `rows` rows.
  DeviceArray first(Index rows) const;

  py::dict interface() const;
  py::capsule dlpack() const;

  /// A matrix (any, cols) of type T; a check that fails names the argument.
  template <class T> MatrixView<T> matrix(const char* name, Index cols) const {
    check(number_ == device_number<std::remove_const_t<T>>, name, " must have dtype ",
          sizeof(T) == 4 ? "float32" : "float64", "; got ", dtype());
    check(shape_.size() == 2 && shape_[1] == cols, name, " must have shape (any, ", cols, ")");
    check(std::is_const_v<T> || writable_, name, " must be writable");
    return dense_view(static_cast<T*>(data_), shape_[0], shape_[1]);
  }

private:
  template <class T> bool all_finite_of() const;
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * item_bytes(); }
  std::size_t item_bytes() const { return number_ == DeviceNumber::float32 ? 4 : 8; }

  py::object owner_;
  void* data_;
  Shape shape_;
  DeviceNumber number_;
  bool writable_;
};

} // namespace chainrule::bindings
