// Activations and losses that are Python functions, which is the slow way: each call takes the interpreter's lock, and
// sees copies of the arrays. What such a function returns is checked; what it raises ends the step, and comes out where
// the step was asked for. One thread does all of that step, the one that called.
#pragma once

#include <algorithm>
#include <memory>

#include "bindings/arrays.h"
#include "bindings/locked.h"
#include "nn/layers/layer.h"
#include "nn/losses/loss.h"

namespace chainrule::bindings {

/// A Python object that native code keeps alive, and lets go of whoever is last.
inline std::shared_ptr<py::object> kept(py::object object) {
  return {new py::object(std::move(object)), [](py::object* last) {
            if (!Py_IsInitialized()) return; // gone with the interpreter
            const Locked locked;
            delete last;
          }};
}

template <class T> py::array_t<T> copy_of(const MatrixView<const T>& x) {
  return py::array_t<T>({x.rows, x.cols}, x.data);
}

/// Copies what a function returned to where it belongs; throws where it is no array of n numbers of type T.
template <class T> void take(const py::object& returned, const char* name, const Shape& shape, T* to) {
  const Array<T> array = array_of<T>(returned, name, shape);
  std::copy(array.data(), array.data() + array.size(), to);
}

/// h = g(z), dz = dh * g'(z): forward(z) and backward(z, h, dh) of matrices (B, d), which return such ones.
template <class T> class PythonActivation final : public Layer<T> {
public:
  PythonActivation(py::object forward, py::object backward)
      : forward_(kept(std::move(forward))), backward_(kept(std::move(backward))) {}

  const char* kind() const override { return "Activation"; }
  Index outputs(Index inputs) const override { return inputs; }
  Runs runs() const override { return Runs::on_caller; }

  void forward(const Pass<T>&, const LayerPlace<T>&, const MatrixView<const T>& z,
               const MatrixView<T>& h) const override {
    const CallingPython calling;
    take(called(*forward_, copy_of<T>(z)), "what forward returns", {h.rows, h.cols}, h.data);
  }

  void backward(const Pass<T>&, const LayerPlace<T>&, const MatrixView<const T>& z, const MatrixView<const T>& h,
                const MatrixView<T>& dh, const MatrixView<T>& dz) const override {
    if (dz.data == nullptr) return;
    const CallingPython calling;
    const py::object returned = called(*backward_, copy_of<T>(z), copy_of<T>(h), copy_of<T>(dh));
    take(returned, "what backward returns", {dz.rows, dz.cols}, dz.data);
  }

private:
  std::shared_ptr<py::object> forward_, backward_;
};

/// The mean, or the sum, over rows of l(p_i, y_i): a function of matrices p and y (B, K) that returns the losses (B)
/// and the gradient (B, K).
template <class T> class PythonLoss final : public Loss<T> {
public:
  PythonLoss(py::object function, Reduction reduction) : Loss<T>(reduction), function_(kept(std::move(function))) {}

  Runs runs() const override { return Runs::on_caller; }

  void evaluate(const Pass<T>&, const MatrixView<const T>& p, const Targets<T>& targets, const T* weight, T* row_loss,
                const MatrixView<T>& dp) const override {
    const CallingPython calling;
    const py::object returned = called(*function_, copy_of<T>(p), copy_of<T>(targets.values));
    if (!py::isinstance<py::tuple>(returned) || py::len(returned) != 2) {
      throw py::type_error("the function of a loss must return the losses of the rows and their gradient");
    }
    const auto both = py::reinterpret_borrow<py::tuple>(returned);
    const Array<T> losses = array_of<T>(both[0], "losses of the rows", {p.rows});
    const Array<T> gradient = array_of<T>(both[1], "the gradient of a loss", {p.rows, p.cols});
    for (Index i = 0; i < p.rows; ++i) {
      const double factor = this->row_factor(p.rows, weight, i);
      row_loss[i] = static_cast<T>(factor * static_cast<double>(losses.data()[i]));
      if (dp.data == nullptr) continue;
      const T* row = gradient.data() + i * p.cols;
      for (Index j = 0; j < p.cols; ++j) dp.row(i)[j] = static_cast<T>(factor) * row[j];
    }
  }

private:
  std::shared_ptr<py::object> function_;
};

} // namespace chainrule::bindings
