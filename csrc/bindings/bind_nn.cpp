// Layers, losses, optimizers and penalties for Python: one registration line each.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/bound_network.h"
#include "nn/layers/activation_layer.h"
#include "nn/layers/dense.h"
#include "nn/layers/dropout.h"
#include "nn/losses/binary_cross_entropy.h"
#include "nn/losses/cross_entropy.h"
#include "nn/losses/squared_error.h"
#include "nn/optimizers/adam.h"
#include "nn/optimizers/momentum.h"
#include "nn/optimizers/sgd.h"
#include "nn/penalties/l2.h"

namespace chainrule::bindings {

using py::arg;

namespace {

/// A class of the engine under its base, held by shared_ptr, since networks and fits keep what they are given.
template <class Class, class Base>
py::class_<Class, Base, std::shared_ptr<Class>> under(py::module_& module, const char* name) {
  return {module, name};
}

/// The loss of a batch and its gradient, for the loop by hand.
template <class T>
py::tuple loss_value(const Loss<T>& loss, const py::object& p_in, const py::object& y_in, const py::object& weight_in) {
  const Array<T> p = array_of<T>(p_in, "p", {-1, -1});
  const TargetArrays<T> y = targets_of<T>(y_in, p.shape(0), p.shape(1), loss.takes_labels());
  const auto weight = weights_of<T>(weight_in, p.shape(0));
  Array<T> dp({p.shape(0), p.shape(1)});
  const MatrixView<T> gradient = view_of_mutable(dp);
  Buffer<T> row_loss(p.shape(0));
  auto body = [&](const Team& team) {
    loss.evaluate({team, cpu::device().kernels<T>()}, view_of(p), y.targets(), weight ? weight->data() : nullptr,
                  row_loss.data(), gradient);
  };
  {
    const Unlocked unlocked;
    ThreadTeam(threads_for(10.0 * static_cast<double>(p.size()))).run(body);
  }
  double sum = 0;
  for (Index i = 0; i < row_loss.size(); ++i) sum += static_cast<double>(row_loss.data()[i]);
  return py::make_tuple(sum, dp);
}

/// One step of an optimizer with the gradients that a network has.
template <class T> void step(Optimizer<T>& optimizer, BoundNetwork<T>& network) {
  optimizer.prepare(network.network().id(), network.network().arena_size());
  network.alone([&](Network<T>& n) {
    const std::uint64_t t = optimizer.steps() + 1;
    T* gradients = n.gradients();
    auto body = [&](const Team& team) {
      optimizer.update({team, n.kernels()}, t, n.arena(), gradients, n.arena_size());
    };
    ThreadTeam(threads_for(2.0 * static_cast<double>(n.arena_size()))).run(body);
    optimizer.set_steps(t);
  });
}

/// A penalty of a network's parameters as they are now.
template <class T> double penalty_value(const std::shared_ptr<Penalty<T>>& penalty, BoundNetwork<T>& network) {
  return network.alone([&](Network<T>& n) { return penalty_of<T>(n, {penalty}); });
}

/// Adds a penalty's gradient to the gradients that a network has.
template <class T> void add_penalty_gradient(const Penalty<T>& penalty, BoundNetwork<T>& network) {
  network.alone([&](Network<T>& n) {
    T* gradients = n.gradients();
    auto body = [&](const Team& team) {
      penalty.add_gradient({team, n.kernels()}, n.parameters(), n.arena(), gradients);
    };
    ThreadTeam(1).run(body);
  });
}

template <class T> py::list state_views(const py::object& self) {
  auto& optimizer = self.cast<Optimizer<T>&>();
  py::list views;
  if (optimizer.size() == 0) return views;
  for (int i = 0; i < optimizer.states(); ++i) {
    views.append(py::array_t<T>(optimizer.size(), optimizer.state(i), self));
  }
  return views;
}

template <class T> void restore(Optimizer<T>& optimizer, std::uint64_t steps, const py::sequence& state) {
  if (steps == 0 && state.empty()) { // back to the start
    for (int i = 0; i < optimizer.states() && optimizer.size() > 0; ++i) {
      std::fill_n(optimizer.state(i), optimizer.size(), T(0));
    }
    optimizer.set_steps(0);
    return;
  }
  std::vector<Array<T>> arrays;
  for (const py::handle& item : py::tuple(state)) {
    arrays.push_back(array_of<T>(py::reinterpret_borrow<py::object>(item), "state", {optimizer.size()}));
  }
  const auto expected = static_cast<std::size_t>(optimizer.size() == 0 ? 0 : optimizer.states());
  check(arrays.size() == expected, "state must have ", expected, " arrays; got ", arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    std::copy_n(arrays[i].data(), arrays[i].size(), optimizer.state(static_cast<int>(i)));
  }
  optimizer.set_steps(steps);
}

} // namespace

void bind_initializer(py::module_& module) {
  py::class_<Initializer>(module, "Initializer").def(py::init<std::string, double>(), arg("kind"), arg("a"));
}

template <class T> void bind_layers(py::module_& module) {
  py::class_<Layer<T>, std::shared_ptr<Layer<T>>>(module, "Layer");
  under<Dense<T>, Layer<T>>(module, "Dense")
      .def(py::init([](Index units, const std::string& activation, double parameter, bool bias,
                       const Initializer& weight_init, const Initializer& bias_init) {
             return Dense<T>(units, {activation, parameter}, bias, weight_init, bias_init);
           }),
           arg("units"), arg("activation"), arg("parameter"), arg("bias"), arg("weight_init"), arg("bias_init"));
  under<ActivationLayer<T>, Layer<T>>(module, "ActivationLayer")
      .def(py::init([](const std::string& activation, double parameter) {
             return ActivationLayer<T>({activation, parameter});
           }),
           arg("activation"), arg("parameter"));
  under<Dropout<T>, Layer<T>>(module, "Dropout").def(py::init<double>(), arg("rate"));
}

template <class T> void bind_losses(py::module_& module) {
  py::class_<Loss<T>, std::shared_ptr<Loss<T>>>(module, "Loss")
      .def("value", loss_value<T>, arg("p"), arg("y"), arg("weight") = py::none());
  under<SquaredError<T>, Loss<T>>(module, "SquaredError").def(py::init<bool, bool>(), arg("mean"), arg("half"));
  under<CrossEntropy<T>, Loss<T>>(module, "CrossEntropy").def(py::init<bool>(), arg("from_logits"));
  under<BinaryCrossEntropy<T>, Loss<T>>(module, "BinaryCrossEntropy").def(py::init<bool>(), arg("from_logits"));
}

template <class T> void bind_optimizers(py::module_& module) {
  py::class_<Optimizer<T>, std::shared_ptr<Optimizer<T>>>(module, "Optimizer")
      .def_property("steps", &Optimizer<T>::steps, &Optimizer<T>::set_steps)
      .def_property("rate", &Optimizer<T>::rate, &Optimizer<T>::set_rate)
      .def("step", step<T>, arg("network"))
      .def("state", state_views<T>)
      .def("restore", restore<T>, arg("steps"), arg("state"));
  under<SGD<T>, Optimizer<T>>(module, "SGD").def(py::init<double>(), arg("rate"));
  under<Momentum<T>, Optimizer<T>>(module, "Momentum")
      .def(py::init<double, double, std::string>(), arg("rate"), arg("beta"), arg("style"));
  under<Adam<T>, Optimizer<T>>(module, "Adam")
      .def(py::init<double, double, double, double, bool, bool>(), arg("rate"), arg("beta1"), arg("beta2"),
           arg("epsilon"), arg("bias_correction"), arg("epsilon_inside"));
}

template <class T> void bind_penalties(py::module_& module) {
  py::class_<Penalty<T>, std::shared_ptr<Penalty<T>>>(module, "Penalty")
      .def("value", penalty_value<T>, arg("network"))
      .def("add_gradient", add_penalty_gradient<T>, arg("network"));
  under<L2<T>, Penalty<T>>(module, "L2").def(py::init<double, bool>(), arg("strength"), arg("biases"));
}

template void bind_layers<float>(py::module_&);
template void bind_layers<double>(py::module_&);
template void bind_losses<float>(py::module_&);
template void bind_losses<double>(py::module_&);
template void bind_optimizers<float>(py::module_&);
template void bind_optimizers<double>(py::module_&);
template void bind_penalties<float>(py::module_&);
template void bind_penalties<double>(py::module_&);

} // namespace chainrule::bindings
