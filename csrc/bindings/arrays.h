// Arrays from Python: checked for dtype and shape, in the layout that the engine reads. Everything from outside is
// hostile until it has passed here.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/check.h"
#include "kernels.h"

namespace chainrule::bindings {

namespace py = pybind11;

/// C-contiguous and aligned. pybind11 has no name for NumPy's flag NPY_ARRAY_ALIGNED.
inline constexpr int in_order = py::array::c_style | 0x100;
template <class T> using Array = py::array_t<T, in_order>;
using Shape = std::vector<py::ssize_t>;

inline std::string shape_text(const py::array& array) { return py::str(array.attr("shape")); }

/// A C-contiguous, aligned array of exactly dtype T; TypeError for anything else than an array of it. Copies only
/// where the layout is another.
template <class T> Array<T> array_of(const py::object& object, const char* name) {
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(text(name, " must be a NumPy array; got ", py::str(py::type::of(object).attr("__name__"))));
  }
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (!py::isinstance<py::array_t<T>>(array)) {
    throw py::type_error(text(name, " must have dtype ", py::str(py::dtype::of<T>()).template cast<std::string>(),
                              "; got ", py::str(array.dtype()).template cast<std::string>()));
  }
  return Array<T>(object); // throws where a copy is needed and cannot be made
}

/// The same with a rank and, for each extent that is not -1, a size; ValueError where they differ.
template <class T> Array<T> array_of(const py::object& object, const char* name, const Shape& shape) {
  Array<T> array = array_of<T>(object, name);
  bool fits = array.ndim() == static_cast<py::ssize_t>(shape.size());
  std::string wanted;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    fits = fits && (shape[i] == -1 || array.shape(static_cast<py::ssize_t>(i)) == shape[i]);
    wanted += (i == 0 ? "" : ", ") + (shape[i] == -1 ? std::string("any") : std::to_string(shape[i]));
  }
  check(fits, name, " must have shape (", wanted, "); got ", shape_text(array));
  return array;
}

/// A matrix where it lies, if the engine can take it so: an array of NumPy's own class, of rank 2 and dtype T,
/// C-contiguous, aligned, and writable unless T is const. Nothing for any other object, and no error: whoever asks has
/// a slower way that converts, or says what is wrong.
template <class T> std::optional<MatrixView<T>> matrix_as_is(py::handle object) {
  using Number = std::remove_const_t<T>;
  if (Py_TYPE(object.ptr()) != py::detail::npy_api::get().PyArray_Type_) return std::nullopt;
  const auto array = py::reinterpret_borrow<py::array>(object);
  const bool fits = array.ndim() == 2 && (array.flags() & in_order) == in_order &&
                    py::isinstance<py::array_t<Number>>(array) && (std::is_const_v<T> || array.writeable());
  if (!fits) return std::nullopt;
  return dense_view(static_cast<T*>(const_cast<void*>(array.data())), array.shape(0), array.shape(1));
}

template <class T> MatrixView<const T> view_of(const Array<T>& array) {
  return dense_view<const T>(array.data(), array.shape(0), array.shape(1));
}
template <class T> MatrixView<T> view_of_mutable(Array<T>& array) {
  return dense_view<T>(array.mutable_data(), array.shape(0), array.shape(1));
}

/// A new array (rows, cols), its numbers undefined: what Array<T>({rows, cols}) makes, in a third of its time.
template <class T> py::object new_matrix(Index rows, Index cols) {
  const auto& numpy = py::detail::npy_api::get();
  const Py_intptr_t shape[] = {rows, cols};
  PyObject* dtype = py::dtype::of<T>().release().ptr(); // which the new array takes over
  PyObject* made = numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, dtype, 2, shape, nullptr, nullptr, 0, nullptr);
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

/// Whether n numbers are finite. NaN and infinity have an exponent of ones, which one more carries into the sign bit.
/// And, add, or, and no early end: what every compiler makes a loop of vectors of, for any processor.
template <class T> bool all_finite(const T* x, Index n) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits exponent = std::bit_cast<Bits>(std::numeric_limits<T>::infinity()), one = exponent & (~exponent + 1);
  Bits carries = 0;
  for (Index i = 0; i < n; ++i) carries |= (std::bit_cast<Bits>(x[i]) & exponent) + one;
  return carries < exponent + one;
}

/// Targets of `rows` rows for `classes` outputs: class numbers (int32) or values of dtype T, and what keeps them alive.
template <class T> struct TargetArrays {
  Buffer<std::int32_t> labels; // a copy: nobody may change a checked class number
  Array<T> values;
  bool has_labels = false;

  Targets<T> targets() const {
    if (has_labels) return {.labels = labels.data(), .values = {}};
    return {.labels = nullptr, .values = view_of(values)};
  }
};

template <class T> TargetArrays<T> targets_of(const py::object& y, Index rows, Index classes, bool takes_labels) {
  TargetArrays<T> result;
  if (!py::isinstance<py::array_t<std::int32_t>>(y)) {
    result.values = array_of<T>(y, "y", {rows, classes});
    return result;
  }
  if (!takes_labels) throw py::type_error("y must be numbers (B, K) for this loss; got class numbers");
  const Array<std::int32_t> labels = array_of<std::int32_t>(y, "y", {rows});
  result.labels = Buffer<std::int32_t>(rows + 1); // never null, even for no rows
  result.has_labels = true;
  for (Index i = 0; i < rows; ++i) {
    const std::int32_t label = labels.data()[i];
    check(label >= 0 && label < classes, "y[", i, "] is class ", label, ", but there are ", classes, " classes");
    result.labels.data()[i] = label;
  }
  return result;
}

/// A copy of row numbers, each below `rows`: nobody may change a checked one.
inline Buffer<std::int32_t> row_numbers(const py::object& object, Index rows) {
  const Array<std::int32_t> array = array_of<std::int32_t>(object, "rows", {-1});
  Buffer<std::int32_t> numbers(array.size());
  for (Index i = 0; i < numbers.size(); ++i) {
    const std::int32_t row = array.data()[i];
    check(row >= 0 && row < rows, "rows[", i, "] is ", row, ", but there are ", rows, " rows");
    numbers.data()[i] = row;
  }
  return numbers;
}

/// Weights of rows, or none.
template <class T> std::optional<Array<T>> weights_of(const py::object& weight, Index rows) {
  if (weight.is_none()) return std::nullopt;
  return array_of<T>(weight, "weight", {rows});
}

/// Whether two matrices without gaps share memory.
template <class T> bool overlap(const MatrixView<const T>& x, const MatrixView<T>& p) {
  return x.data < p.data + p.size() && p.data < x.data + x.size();
}

} // namespace chainrule::bindings
