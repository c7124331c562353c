// PReLU as a layer of chainrule: ReLU with a slope for negative numbers that is learned, one for each column.
//
//   forward    h = x if x > 0 else a x              x, h (rows, inputs), a (inputs), which starts at 1/4
//   backward   dx = dh if x > 0 else a dh           da = sum over rows of (0 if x > 0 else x dh)
//
// Source: K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.
#include <pybind11/pybind11.h>

#include <cstddef>

#include "chainrule/layer.hpp"

namespace py = pybind11;
using Index = std::ptrdiff_t;

template <class T> struct PReLU {
  double slope; // at the start

  Index outputs(Index inputs) const { return inputs; }
  Index parameters(Index inputs) const { return inputs; }
  void start(Index inputs, T* a) const {
    for (Index j = 0; j < inputs; ++j) a[j] = static_cast<T>(slope);
  }

  void forward(Index rows, Index inputs, const T* a, const T* x, T* h) const {
    for (Index i = 0; i < rows; ++i, x += inputs, h += inputs) {
      for (Index j = 0; j < inputs; ++j) h[j] = x[j] > 0 ? x[j] : a[j] * x[j];
    }
  }

  void backward(Index rows, Index inputs, const T* a, const T* x, const T*, const T* dh, T* dx) const {
    for (Index i = 0; i < rows; ++i, x += inputs, dh += inputs, dx += inputs) {
      for (Index j = 0; j < inputs; ++j) dx[j] = x[j] > 0 ? dh[j] : a[j] * dh[j];
    }
  }

  void gradient(Index rows, Index inputs, Index first, Index last, const T*, const T* x, const T*, const T* dh,
                T* da) const {
    for (Index i = 0; i < rows; ++i, x += inputs, dh += inputs) {
      for (Index j = first; j < last; ++j) da[j] += x[j] > 0 ? T(0) : x[j] * dh[j];
    }
  }
};

/// A capsule with the layer and its table, which goes when the last network has let go of it.
template <class T> py::capsule table(double slope) {
  using Made = chainrule_native::LayerTable<T, PReLU<T>>;
  static_assert(std::is_standard_layout_v<typename chainrule_native::Table<T>::type>);
  // The capsule points to the table; what owns it is its context.
  auto* made = new Made({slope});
  py::capsule capsule(static_cast<const void*>(made->table()), chainrule_native::Table<T>::capsule);
  PyCapsule_SetContext(capsule.ptr(), made);
  PyCapsule_SetDestructor(capsule.ptr(), [](PyObject* gone) { delete static_cast<Made*>(PyCapsule_GetContext(gone)); });
  return capsule;
}

PYBIND11_MODULE(chainrule_prelu, module) {
  module.doc() = "PReLU as a layer of chainrule: Activation in its place, and a slope for each column that is learned.";
  module.def(
      "prelu",
      [](double slope) {
        const py::object layer = py::module_::import("chainrule").attr("CustomLayer");
        return layer(py::make_tuple(table<float>(slope), table<double>(slope)), py::arg("name") = "PReLU",
                     py::arg("has_kinks") = true);
      },
      py::arg("slope") = 0.25, "Return the layer; `slope` is where all slopes start.");
}
