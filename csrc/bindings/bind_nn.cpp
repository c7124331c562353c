// Layers, losses, optimizers and penalties for Python: one registration line each.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/bound_network.h"
#include "bindings/python_functions.h"
#include "cpu/table.h"
#include "nn/layers/activation_layer.h"
#include "nn/layers/batch_norm.h"
#include "nn/layers/dense.h"
#include "nn/layers/drop_connect.h"
#include "nn/layers/dropout.h"
#include "nn/layers/gaussian_noise.h"
#include "nn/layers/maxout.h"
#include "nn/layers/native_activation.h"
#include "nn/layers/native_layer.h"
#include "nn/layers/standardize.h"
#include "nn/losses/cross_entropy.h"
#include "nn/losses/elementwise_loss.h"
#include "nn/losses/native_loss.h"
#include "nn/optimizers/momentum.h"
#include "nn/optimizers/nadam.h"
#include "nn/optimizers/rprop.h"
#include "nn/optimizers/rule_optimizer.h"
#include "nn/penalties/decoupled_decay.h"
#include "nn/penalties/power_penalty.h"
#include "nn/penalties/proximal_l1.h"
#include "nn/schedules/cosines.h"
#include "nn/schedules/decays.h"
#include "train/update.h"

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
    loss.evaluate({team, cpu::device().kernels<T>(), host_memory}, view_of(p), y.targets(),
                  weight ? weight->data() : nullptr, row_loss.data(), gradient);
  };
  {
    const Unlocked unlocked;
    const bool alone = loss.runs() == Runs::on_caller;
    ThreadTeam(alone ? 1 : threads_for(10.0 * static_cast<double>(p.size()))).run(body);
  }
  double sum = 0;
  for (Index i = 0; i < row_loss.size(); ++i) sum += static_cast<double>(row_loss.data()[i]);
  return py::make_tuple(sum, dp);
}

/// One step of an optimizer with the gradients that a network has.
template <class T> void step(Optimizer<T>& optimizer, BoundNetwork<T>& network, double epoch) {
  check(epoch >= 0 && epoch < 1e15, "epoch must be at least 0; got ", epoch);
  network.alone([&](Network<T>& n) {
    optimizer.prepare(n.id(), n.arena_size(), n.memory());
    const std::uint64_t done = optimizer.steps();
    n.gradients(); // allocated before the threads start
    optimizer.plan(n.parameters());
    optimizer.begin_step({done, epoch, 1}); // by hand an epoch counts as one step
    auto body = [&](const Team& team) { update<T>(n.pass(team), n, optimizer, {}, {}, nullptr); };
    ThreadTeam(n.arena_threads()).run(body);
    optimizer.set_steps(done + 1);
  });
}

template <class T>
void configure(Optimizer<T>& optimizer, std::shared_ptr<Schedule> schedule, std::map<Index, double> layer_rates,
               double clip_norm, double clip_value, double decay, bool decay_biases) {
  optimizer.configure({.schedule = std::move(schedule),
                       .layer_factors = std::move(layer_rates),
                       .clipping = {.norm = clip_norm, .value = clip_value},
                       .decay = decay,
                       .decay_biases = decay_biases});
}

PenaltyRows penalty_rows(Index data, Index batch) {
  check(data >= 1, "data_rows must be at least 1; got ", data);
  check(batch >= 1, "batch_rows must be at least 1; got ", batch);
  return {static_cast<double>(data), static_cast<double>(batch)};
}

/// A penalty of a network's parameters as they are now.
template <class T>
double penalty_value(const std::shared_ptr<Penalty<T>>& penalty, BoundNetwork<T>& network, Index data, Index batch) {
  const PenaltyRows rows = penalty_rows(data, batch);
  return network.alone([&](Network<T>& n) { return penalty_of<T>(n, {penalty}, rows); });
}

/// Adds a penalty's gradient to the gradients that a network has.
template <class T>
void add_penalty_gradient(const Penalty<T>& penalty, BoundNetwork<T>& network, Index data, Index batch) {
  const PenaltyRows rows = penalty_rows(data, batch);
  network.alone([&](Network<T>& n) {
    T* gradients = n.gradients();
    Buffer<double> room(n.penalty_room(), Contents::undefined, n.memory());
    auto body = [&](const Team& team) {
      penalty.add_gradient(n.pass(team), n.parameters(), rows, n.arena(), gradients, room.data());
    };
    ThreadTeam(n.arena_threads()).run(body);
  });
}

/// What a penalty does to a network's parameters beside an update, if it acts there. Constraints wait for the update.
template <class T, PenaltyActs place>
void shrink(const Penalty<T>& penalty, BoundNetwork<T>& network, double rate, Index data, Index batch) {
  const PenaltyRows rows = penalty_rows(data, batch);
  const LayerRates rates{representable<T>("rate", rate), {}};
  if (penalty.acts() != place) return;
  network.alone([&](Network<T>& n) {
    auto body = [&](const Team& team) {
      const Pass<T> pass = n.pass(team);
      penalty.shrink(pass, n.parameters(), rows, rates, n.arena());
      if constexpr (place == PenaltyActs::after_update) n.constrain(pass);
    };
    ThreadTeam(n.arena_threads()).run(body);
  });
}

/// Views of the state arrays; copies, where the device has a memory of its own.
template <class T> py::list state_arrays(const py::object& self) {
  auto& optimizer = self.cast<Optimizer<T>&>();
  py::list list;
  if (optimizer.size() == 0) return list;
  for (int i = 0; i < optimizer.states(); ++i) {
    if (&optimizer.memory() == &host_memory) {
      list.append(py::array_t<T>(optimizer.size(), optimizer.state(i), self));
      continue;
    }
    py::array_t<T> copy(optimizer.size());
    copy_out(optimizer.memory(), copy.mutable_data(), std::as_const(optimizer).state(i), optimizer.size());
    list.append(copy);
  }
  return list;
}

template <class T> void restore(Optimizer<T>& optimizer, std::uint64_t steps, const py::sequence& state) {
  if (steps == 0 && state.empty()) { // back to the start
    optimizer.reset();
    return;
  }
  std::vector<Array<T>> arrays;
  for (const py::handle& item : py::tuple(state)) {
    arrays.push_back(array_of<T>(py::reinterpret_borrow<py::object>(item), "state", {optimizer.size()}));
  }
  const auto expected = static_cast<std::size_t>(optimizer.size() == 0 ? 0 : optimizer.states());
  check(arrays.size() == expected, "state must have ", expected, " arrays; got ", arrays.size());
  optimizer.set_steps(steps); // throws where there cannot be so many
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    copy_in(optimizer.memory(), optimizer.state(static_cast<int>(i)), arrays[i].data(), arrays[i].size());
  }
}

using OptionalConstraint = std::optional<Constraint>;

template <class T>
Affine<T> affine(Index columns, bool bias, const Initializer& weight_init, const Initializer& bias_init,
                 const OptionalConstraint& constraint) {
  return {columns, bias, weight_init, bias_init, constraint};
}

/// A mask of zeros and ones, row by row; empty for None.
template <class T> std::vector<T> mask_of(const py::object& object, Index units) {
  if (object.is_none()) return {};
  const Array<T> array = array_of<T>(object, "connections", {-1, units});
  check(array.size() > 0, "connections has no rows");
  std::vector<T> mask(array.data(), array.data() + array.size());
  for (const T one : mask) check(one == 0 || one == 1, "connections must be 0 or 1; got ", one);
  return mask;
}

/// A layer of native code: a capsule with its table, named after its precision and the header's version.
template <class T> NativeLayer<T> native_layer(const py::capsule& capsule) {
  const char* wanted = sizeof(T) == 4 ? CHAINRULE_LAYER_CAPSULE_FLOAT32 : CHAINRULE_LAYER_CAPSULE_FLOAT64;
  const char* name = capsule.name();
  check(name != nullptr && std::string(name) == wanted, "a layer's capsule must be named \"", wanted, "\"; it is \"",
        name == nullptr ? "" : name, "\"");
  return {capsule.get_pointer<const typename NativeLayer<T>::Table>(), kept(capsule)};
}

/// A function of native code by its address, with the address for its `user`, and who keeps both in memory.
template <class Function> NativeFunction<Function> native(std::uintptr_t call, std::uintptr_t user, py::object owner) {
  return {reinterpret_cast<Function>(call), reinterpret_cast<void*>(user), kept(std::move(owner))};
}

PenaltyStrength strength(double weights, double biases, double factor, const std::string& per,
                         std::optional<std::vector<Index>> layers) {
  return {weights, biases, factor, named<PenaltyPer>(penalty_per_names, "per", per), std::move(layers)};
}

} // namespace

void bind_descriptions(py::module_& module) {
  py::class_<Initializer>(module, "Initializer").def(py::init<std::string, double>(), arg("kind"), arg("a"));
  py::class_<Constraint>(module, "Constraint")
      .def(py::init([](const std::string& kind, double limit) {
             return Constraint{named<ColumnConstraint>(column_constraint_names, "constraint", kind),
                               representable<double>("limit", limit)};
           }),
           arg("kind"), arg("limit"));

  py::class_<Schedule, std::shared_ptr<Schedule>>(module, "Schedule");
  under<TimeDecay, Schedule>(module, "TimeDecay")
      .def(py::init<double, double, bool>(), arg("rate"), arg("decay"), arg("per_epoch"));
  under<StepDecay, Schedule>(module, "StepDecay")
      .def(py::init<double, double, double, bool, bool>(), arg("rate"), arg("drop"), arg("every"), arg("floor"),
           arg("per_epoch"));
  under<ExponentialDecay, Schedule>(module, "ExponentialDecay")
      .def(py::init<double, double, bool>(), arg("rate"), arg("decay"), arg("per_epoch"));
  under<CosineDecay, Schedule>(module, "CosineDecay")
      .def(py::init<double, double, double, double, bool>(), arg("rate"), arg("length"), arg("warmup"), arg("end"),
           arg("per_epoch"));
  under<OneCycle, Schedule>(module, "OneCycle")
      .def(py::init<double, double, double, double, double, bool>(), arg("rate"), arg("length"), arg("rise"),
           arg("start"), arg("end"), arg("per_epoch"));
}

template <class T> void bind_layers(py::module_& module) {
  py::class_<Layer<T>, std::shared_ptr<Layer<T>>>(module, "Layer");
  under<Dense<T>, Layer<T>>(module, "Dense")
      .def(py::init([](Index units, const std::string& activation, double parameter, bool bias,
                       const Initializer& weight_init, const Initializer& bias_init, const py::object& connections,
                       const OptionalConstraint& constraint) {
             return Dense<T>(affine<T>(units, bias, weight_init, bias_init, constraint), {activation, parameter},
                             mask_of<T>(connections, units));
           }),
           arg("units"), arg("activation"), arg("parameter"), arg("bias"), arg("weight_init"), arg("bias_init"),
           arg("connections"), arg("constraint"));
  under<DropConnect<T>, Layer<T>>(module, "DropConnect")
      .def(py::init([](Index units, const std::string& activation, double parameter, bool bias,
                       const Initializer& weight_init, const Initializer& bias_init, double rate, bool classic,
                       const OptionalConstraint& constraint) {
             return DropConnect<T>(affine<T>(units, bias, weight_init, bias_init, constraint), {activation, parameter},
                                   rate, classic);
           }),
           arg("units"), arg("activation"), arg("parameter"), arg("bias"), arg("weight_init"), arg("bias_init"),
           arg("rate"), arg("classic"), arg("constraint"));
  under<Maxout<T>, Layer<T>>(module, "Maxout")
      .def(py::init([](Index units, Index pieces, bool bias, const Initializer& weight_init,
                       const Initializer& bias_init, const OptionalConstraint& constraint) {
             check(pieces >= 1 && pieces < Index{1} << 31, "pieces must be 1 to 2147483647; got ", pieces);
             const Index columns = checked_units(units) * pieces;
             return Maxout<T>(affine<T>(columns, bias, weight_init, bias_init, constraint), pieces);
           }),
           arg("units"), arg("pieces"), arg("bias"), arg("weight_init"), arg("bias_init"), arg("constraint"));
  under<BatchNorm<T>, Layer<T>>(module, "BatchNorm").def(py::init<double, double>(), arg("epsilon"), arg("momentum"));
  under<Standardize<T>, Layer<T>>(module, "Standardize").def(py::init<>());
  under<ActivationLayer<T>, Layer<T>>(module, "ActivationLayer")
      .def(py::init([](const std::string& activation, double parameter) {
             return ActivationLayer<T>({activation, parameter});
           }),
           arg("activation"), arg("parameter"));
  under<NativeActivation<T>, Layer<T>>(module, "NativeActivation")
      .def(py::init([](std::uintptr_t forward, std::uintptr_t forward_user, std::uintptr_t backward,
                       std::uintptr_t backward_user, const py::object& owner) {
             using Types = NativeTypes<T>;
             return NativeActivation<T>(native<typename Types::Forward>(forward, forward_user, owner),
                                        native<typename Types::Backward>(backward, backward_user, owner));
           }),
           arg("forward"), arg("forward_user"), arg("backward"), arg("backward_user"), arg("owner"));
  under<PythonActivation<T>, Layer<T>>(module, "PythonActivation")
      .def(py::init<py::object, py::object>(), arg("forward"), arg("backward"));
  under<NativeLayer<T>, Layer<T>>(module, "NativeLayer")
      .def(py::init([](const py::capsule& table) { return native_layer<T>(table); }), arg("table"))
      .def("outputs", &NativeLayer<T>::outputs, arg("inputs"))
      .def("learned", &NativeLayer<T>::learned, arg("inputs"));
  under<Dropout<T>, Layer<T>>(module, "Dropout")
      .def(py::init<double, std::string, bool>(), arg("rate"), arg("variant"), arg("per_batch"));
  under<GaussianNoise<T>, Layer<T>>(module, "GaussianNoise").def(py::init<double>(), arg("deviation"));
}

template <class T> void bind_losses(py::module_& module) {
  py::class_<Loss<T>, std::shared_ptr<Loss<T>>>(module, "Loss")
      .def("value", loss_value<T>, arg("p"), arg("y"), arg("weight") = py::none());
  under<ElementwiseLoss<T>, Loss<T>>(module, "ElementwiseLoss")
      .def(py::init([](const std::string& formula, double parameter, double factor, const std::string& reduction) {
             return ElementwiseLoss<T>(formula, parameter, factor,
                                       named<Reduction>(reduction_names, "reduction", reduction));
           }),
           arg("formula"), arg("parameter"), arg("factor"), arg("reduction"));
  under<NativeLoss<T>, Loss<T>>(module, "NativeLoss")
      .def(py::init([](std::uintptr_t function, std::uintptr_t user, py::object owner, const std::string& reduction) {
             return NativeLoss<T>(native<typename NativeTypes<T>::RowLoss>(function, user, std::move(owner)),
                                  named<Reduction>(reduction_names, "reduction", reduction));
           }),
           arg("function"), arg("user"), arg("owner"), arg("reduction"));
  under<PythonLoss<T>, Loss<T>>(module, "PythonLoss")
      .def(py::init([](py::object function, const std::string& reduction) {
             return PythonLoss<T>(std::move(function), named<Reduction>(reduction_names, "reduction", reduction));
           }),
           arg("function"), arg("reduction"));
  under<CrossEntropy<T>, Loss<T>>(module, "CrossEntropy")
      .def(py::init([](bool from_logits, double smoothing, const std::string& reduction) {
             return CrossEntropy<T>(from_logits, smoothing, named<Reduction>(reduction_names, "reduction", reduction));
           }),
           arg("from_logits"), arg("smoothing"), arg("reduction"));
}

template <class T> void bind_optimizers(py::module_& module) {
  py::class_<Optimizer<T>, std::shared_ptr<Optimizer<T>>>(module, "Optimizer")
      .def_property("steps", &Optimizer<T>::steps, &Optimizer<T>::set_steps)
      .def_property("rate", &Optimizer<T>::rate, &Optimizer<T>::set_rate)
      .def("configure", configure<T>, arg("schedule"), arg("layer_rates"), arg("clip_norm"), arg("clip_value"),
           arg("decay"), arg("decay_biases"))
      .def("step", step<T>, arg("network"), arg("epoch") = 0.0)
      .def("state", state_arrays<T>)
      .def("restore", restore<T>, arg("steps"), arg("state"));
  under<RuleOptimizer<T>, Optimizer<T>>(module, "RuleOptimizer")
      .def(py::init<double, std::string, double, double, double, bool>(), arg("rate"), arg("rule"), arg("beta1"),
           arg("beta2"), arg("epsilon"), arg("bias_correction"));
  under<Momentum<T>, Optimizer<T>>(module, "Momentum")
      .def(py::init<double, double, std::string>(), arg("rate"), arg("beta"), arg("style"));
  under<Rprop<T>, Optimizer<T>>(module, "Rprop")
      .def(py::init<double, double, double, double, double>(), arg("rate"), arg("shrink"), arg("grow"), arg("least"),
           arg("most"));
  under<NAdam<T>, Optimizer<T>>(module, "NAdam")
      .def(py::init<double, double, double, double, double, bool, bool>(), arg("rate"), arg("beta1"), arg("beta2"),
           arg("epsilon"), arg("momentum_decay"), arg("bias_correction"), arg("epsilon_inside"));
}

template <class T> void bind_penalties(py::module_& module) {
  py::class_<Penalty<T>, std::shared_ptr<Penalty<T>>>(module, "Penalty")
      .def("value", penalty_value<T>, arg("network"), arg("data_rows"), arg("batch_rows"))
      .def("add_gradient", add_penalty_gradient<T>, arg("network"), arg("data_rows"), arg("batch_rows"))
      .def("before_step", shrink<T, PenaltyActs::before_update>, arg("network"), arg("rate"), arg("data_rows"),
           arg("batch_rows"))
      .def("after_step", shrink<T, PenaltyActs::after_update>, arg("network"), arg("rate"), arg("data_rows"),
           arg("batch_rows"));
  using Layers = std::optional<std::vector<Index>>;
  under<PowerPenalty<T>, Penalty<T>>(module, "PowerPenalty")
      .def(py::init([](const std::string& term, double power, double weights, double biases, double factor,
                       const std::string& per, bool true_norm, Layers layers) {
             return PowerPenalty<T>({named<PenaltyTermKind>(penalty_term_names, "term", term), power},
                                    strength(weights, biases, factor, per, std::move(layers)), true_norm);
           }),
           arg("term"), arg("power"), arg("weights"), arg("biases"), arg("factor"), arg("per"), arg("true_norm"),
           arg("layers"));
  under<DecoupledDecay<T>, Penalty<T>>(module, "DecoupledDecay")
      .def(py::init([](double weights, double biases, double factor, const std::string& per, bool raw, Layers layers) {
             return DecoupledDecay<T>(strength(weights, biases, factor, per, std::move(layers)), raw);
           }),
           arg("weights"), arg("biases"), arg("factor"), arg("per"), arg("raw"), arg("layers"));
  under<ProximalL1<T>, Penalty<T>>(module, "ProximalL1")
      .def(py::init([](double weights, double biases, double factor, const std::string& per, Layers layers) {
             return ProximalL1<T>(strength(weights, biases, factor, per, std::move(layers)));
           }),
           arg("weights"), arg("biases"), arg("factor"), arg("per"), arg("layers"));
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
