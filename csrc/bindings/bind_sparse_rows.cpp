// Sparse rows for Python: the checks of their arrays.
#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "bindings/bind.h"
#include "bindings/sparse_rows.h"

namespace chainrule::bindings {

namespace {

constexpr Index most = (Index{1} << 31) - 1; // rows and columns are counted in 32 bits

/// The first `count` elements, or all where that is -1, of an array of 32 or 64 bits, each within [0, greatest].
template <class Number, class From>
Buffer<Number> within(const Array<From>& from, const char* name, Index count, Index greatest) {
  check(from.size() >= count, name, " must have ", count, " elements, as offsets says; got ", from.size());
  Buffer<Number> numbers(count < 0 ? static_cast<Index>(from.size()) : count, Contents::undefined);
  for (Index i = 0; i < numbers.size(); ++i) {
    const Index number = from.data()[i];
    check(number >= 0 && number <= greatest, name, "[", i, "] must be 0 to ", greatest, "; got ", number);
    numbers.data()[i] = static_cast<Number>(number);
  }
  return numbers;
}
template <class Number>
Buffer<Number> whole_numbers(const py::object& object, const char* name, Index count, Index greatest) {
  return py::isinstance<py::array_t<std::int32_t>>(object)
             ? within<Number>(array_of<std::int32_t>(object, name, {-1}), name, count, greatest)
             : within<Number>(array_of<std::int64_t>(object, name, {-1}), name, count, greatest);
}

template <class T> Buffer<T> finite_numbers(const py::object& object, Index count) {
  const Array<T> array = array_of<T>(object, "values", {-1});
  check(array.size() >= count, "values must have ", count, " elements, as offsets says; got ", array.size());
  Buffer<T> numbers(array.data(), count, host_memory);
  check(all_finite(numbers.data(), count), "values must be finite");
  return numbers;
}

} // namespace

BoundSparseRows::BoundSparseRows(const py::object& offsets, const py::object& columns, const py::array& values,
                                 Index cols)
    : cols_(cols) {
  check(cols >= 0 && cols <= most, "cols must be 0 to ", most, "; got ", cols);
  auto kept = std::make_shared<Kept>();
  kept->offsets = whole_numbers<Index>(offsets, "offsets", -1, std::numeric_limits<Index>::max());
  check(kept->offsets.size() >= 1, "offsets must have one element more than there are rows; it is empty");
  rows_ = kept->offsets.size() - 1;
  check(rows_ <= most, "there must be at most ", most, " rows; got ", rows_);
  const Index *begins = kept->offsets.data(), *end = begins + rows_ + 1;
  check(begins[0] == 0, "offsets must begin with 0; got ", begins[0]);
  const Index* fall = std::is_sorted_until(begins, end);
  check(fall == end, "offsets must not fall; offsets[", fall - begins, "] does");
  const Index count = begins[rows_];
  kept->columns = whole_numbers<std::int32_t>(columns, "columns", count, cols - 1);
  if (py::isinstance<py::array_t<float>>(values)) {
    kept->values = finite_numbers<float>(values, count);
  } else {
    kept->values = finite_numbers<double>(values, count);
  }
  kept_ = std::move(kept);
}

BoundSparseRows BoundSparseRows::first(Index count) const {
  check(count >= 0 && count <= rows_, "rows must be 0 to ", rows_, "; got ", count);
  BoundSparseRows part = *this;
  part.rows_ = count;
  return part;
}

template <class T> void BoundSparseRows::take_from(const SparseRows<T>& rows, Kept& kept) const {
  kept.offsets = Buffer<Index>(rows.rows + 1);
  Index* begins = kept.offsets.data();
  for (Index i = 0; i < rows.rows; ++i) begins[i + 1] = begins[i] + rows.kept(i).size();
  kept.columns = Buffer<std::int32_t>(begins[rows.rows], Contents::undefined);
  Buffer<T> values(begins[rows.rows], Contents::undefined);
  for (Index i = 0; i < rows.rows; ++i) {
    const Range row = rows.kept(i);
    std::copy_n(rows.columns + row.begin, row.size(), kept.columns.data() + begins[i]);
    std::copy_n(rows.values + row.begin, row.size(), values.data() + begins[i]);
  }
  kept.values = std::move(values);
}

BoundSparseRows BoundSparseRows::take(const py::object& numbers) const {
  const Buffer<std::int32_t> chosen = row_numbers(numbers, rows_);
  auto kept = std::make_shared<Kept>();
  const auto take_of = [&]<class T>(const Buffer<T>&) {
    take_from<T>(view<T>().chosen({.numbers = chosen.data()}, chosen.size()), *kept);
  };
  std::visit(take_of, kept_->values);
  BoundSparseRows part = *this;
  part.rows_ = chosen.size();
  part.kept_ = std::move(kept);
  return part;
}

py::tuple BoundSparseRows::arrays() const {
  const Index count = kept_->offsets.data()[rows_];
  const auto copy = [&]<class T>(const Buffer<T>& values) -> py::object { return Array<T>(count, values.data()); };
  return py::make_tuple(Array<Index>(rows_ + 1, kept_->offsets.data()),
                        Array<std::int32_t>(count, kept_->columns.data()), std::visit(copy, kept_->values));
}

void bind_sparse_rows(py::module_& module) {
  using py::arg;
  using Self = BoundSparseRows;
  py::class_<Self>(module, "SparseRows")
      .def(py::init<py::object, py::object, py::array, Index>(), arg("offsets"), arg("columns"), arg("values"),
           arg("cols"))
      .def_property_readonly("shape", [](const Self& self) { return py::make_tuple(self.rows(), self.cols()); })
      .def_property_readonly("dtype", [](const Self& self) { return py::dtype(self.dtype()); })
      .def("__len__", &Self::rows)
      .def("first", &Self::first, arg("rows"))
      .def("take", &Self::take, arg("rows"))
      .def("arrays", &Self::arrays);
}

} // namespace chainrule::bindings
